"""Debian's python3-consul against the gateway: asserts what each call returns and prints one line per step.

Usage: consul_steps.py HOST PORT
"""

import sys
import threading
import time

import consul
from consul.base import CB, ACLDisabled, BadRequest, ConsulException

c = consul.Consul(host=sys.argv[1], port=int(sys.argv[2]))


def step(name):
    print(name, flush=True)


def eventually(what, probe, seconds=20):
    """Asks until the probe returns something true."""
    until = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < until, "not in time: " + what
        time.sleep(0.05)


def agent_put(path, **params):
    """This client sends GET to pass checks and to deregister, which Consul refuses since 1.0; so by its own transport."""
    return c.http.put(CB.bool(), "/v1/agent" + path, params=params)


def status_and_cluster():
    leader = c.status.leader()
    assert c.status.peers() == [leader], c.status.peers()
    assert sorted(m["Name"] for m in c.agent.members()) == ["client1", "server1"]
    assert c.agent.self()["Config"]["Version"] == "1.8.5"
    assert c.catalog.datacenters() == ["dc1"]
    index, nodes = c.catalog.nodes()
    assert int(index) > 0 and sorted(n["Node"] for n in nodes) == ["client1", "server1"]
    servers = c.operator.raft_config()["Servers"]
    assert [(s["Node"], s["Leader"], s["Voter"]) for s in servers] == [("server1", True, True)]
    step("status and cluster")


def service_with_ttl_check():
    check = consul.Check.ttl("600s")
    assert c.agent.service.register("py-web", service_id="py-web-1", address="10.0.0.7", port=8080,
                                    tags=["blue", "v2"], check=check)
    mine = c.agent.services()["py-web-1"]
    assert (mine["Service"], mine["Port"], mine["Tags"]) == ("py-web", 8080, ["blue", "v2"])
    assert c.agent.checks()["service:py-web-1"]["Status"] == "critical"
    index, nodes = eventually("py-web in the catalog", lambda: entries(c.catalog.service("py-web")))
    assert nodes[0]["ServiceAddress"] == "10.0.0.7" and nodes[0]["ServiceID"] == "py-web-1"
    assert c.catalog.service("py-web", tag="green")[1] == []
    assert sorted(c.catalog.services()[1]["py-web"]) == ["blue", "v2"]
    assert "py-web-1" in c.catalog.node(nodes[0]["Node"])[1]["Services"]
    assert c.health.service("py-web", passing=True)[1] == []
    step("service with a TTL check")


def entries(answer):
    return answer if answer[1] else None


def checks_by_put():
    assert c.agent.check.ttl_pass("service:py-web-1") is False
    assert agent_put("/check/pass/service:py-web-1", note="fine")
    index, healthy = eventually("py-web to pass", lambda: entries(c.health.service("py-web", passing=True)))
    assert [k["Output"] for k in healthy[0]["Checks"] if k["ServiceID"]] == ["fine"]
    assert agent_put("/check/warn/service:py-web-1", note="hm")
    found = eventually("the warning", lambda: entries(c.health.state("warning")))
    assert found[1][0]["CheckID"] == "service:py-web-1" and found[1][0]["Output"] == "hm"
    assert c.agent.check.register("py-disk", consul.Check.ttl("600s"), notes="space", service_id="py-web-1")
    names = eventually("two checks", lambda: two(c.health.checks("py-web")[1]))
    assert sorted(k["Name"] for k in names) == ["Service 'py-web' check", "py-disk"]
    assert c.agent.check.deregister("py-disk") is False
    assert agent_put("/check/deregister/py-disk")
    assert "py-disk" not in c.agent.checks()
    step("checks")


def two(rows):
    return rows if len(rows) == 2 else None


def maintenance():
    assert c.agent.service.maintenance("py-web-1", "true", "paint it")
    assert c.agent.checks()["_service_maintenance:py-web-1"]["Notes"] == "paint it"
    assert c.agent.service.maintenance("py-web-1", "false")
    assert c.agent.maintenance("true", "node too")
    assert c.agent.checks()["_node_maintenance"]["Notes"] == "node too"
    assert c.agent.maintenance("false")
    assert "_node_maintenance" not in c.agent.checks()
    step("maintenance")


def blocking_health():
    index, before = c.health.service("py-web", passing=True)
    assert before == []
    answers = []
    other = consul.Consul(host=sys.argv[1], port=int(sys.argv[2]))

    def wait():
        at = index
        while True:
            at, rows = other.health.service("py-web", passing=True, index=at, wait="15s")
            if rows:
                answers.append((int(at), rows))
                return

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert agent_put("/check/pass/service:py-web-1")
    waiting.join(20)
    assert answers and answers[0][0] > int(index)
    assert answers[0][1][0]["Service"]["ID"] == "py-web-1"
    step("blocking query on health")


def key_value():
    index, none = c.kv.get("py/none")
    assert none is None and int(index) > 0
    assert c.kv.put("py/a", "one") is True
    assert c.kv.put("py/b c", b"\x00\xff binary", flags=2**64 - 1) is True
    assert c.kv.get("py/a")[1]["Value"] == b"one"
    got = c.kv.get("py/b c")[1]
    assert got["Value"] == b"\x00\xff binary" and got["Flags"] == 2**64 - 1
    assert [e["Key"] for e in c.kv.get("py/", recurse=True)[1]] == ["py/a", "py/b c"]
    assert c.kv.put("py/deep/x", None) is True
    assert c.kv.get("py/deep/x")[1]["Value"] is None
    assert c.kv.get("py/", keys=True, separator="/")[1] == ["py/a", "py/b c", "py/deep/"]
    modified = c.kv.get("py/a")[1]["ModifyIndex"]
    assert c.kv.put("py/a", "no", cas=0) is False
    assert c.kv.put("py/a", "two", cas=modified) is True
    assert c.kv.delete("py/a", cas=modified) is False
    assert c.kv.delete("py/a") is True
    assert c.kv.delete("py/", recurse=True) is True
    assert c.kv.get("py/", recurse=True)[1] is None
    step("keys and values")


def blocking_key():
    c.kv.put("py-watched", "1")
    index, _ = c.kv.get("py-watched")
    other = consul.Consul(host=sys.argv[1], port=int(sys.argv[2]))
    writer = threading.Timer(0.2, lambda: other.kv.put("py-watched", "2"))
    writer.start()
    later, entry = c.kv.get("py-watched", index=index, wait="15s")
    assert int(later) > int(index) and entry["Value"] == b"2"
    writer.join()
    step("blocking query on a key")


def sessions_and_locks():
    first = c.session.create("py-first", ttl=30, lock_delay=0)
    second = c.session.create("py-second", ttl=30, lock_delay=0, behavior="delete")
    assert c.session.info(first)[1]["Name"] == "py-first"
    assert c.session.info(first)[1]["LockDelay"] == 0
    assert {first, second} <= {s["ID"] for s in c.session.list()[1]}
    node = c.session.info(first)[1]["Node"]
    assert {first, second} <= {s["ID"] for s in c.session.node(node)[1]}
    assert c.session.renew(first)["TTL"] == "30s"
    assert c.kv.put("py-lock", "a", acquire=first) is True
    assert c.kv.put("py-lock", "b", acquire=second) is False
    held = c.kv.get("py-lock")[1]
    assert held["Session"] == first and held["LockIndex"] == 1
    assert c.kv.put("py-lock", "a", release=first) is True
    assert c.kv.put("py-lock", "b", acquire=second) is True
    assert c.kv.get("py-lock")[1]["LockIndex"] == 2
    assert c.session.destroy(second) is True
    assert c.kv.get("py-lock")[1] is None
    assert c.session.destroy(first) is True
    assert c.session.info(first)[1] is None
    step("sessions and locks")


def catalog_by_hand():
    service = {"Service": "py-db", "ID": "py-db-1", "Port": 5432}
    check = {"Node": "py-box", "CheckID": "up", "Name": "up", "Status": "passing", "ServiceID": "py-db-1"}
    assert c.catalog.register("py-box", "10.3.3.3", service=service, check=check)
    rows = c.health.service("py-db", passing=True)[1]
    assert rows[0]["Node"]["Address"] == "10.3.3.3" and rows[0]["Service"]["Port"] == 5432
    assert c.health.node("py-box")[1][0]["CheckID"] == "up"
    assert c.catalog.deregister("py-box", check_id="up")
    assert c.health.node("py-box")[1] == []
    assert c.catalog.deregister("py-box")
    assert c.catalog.node("py-box")[1] is None
    step("catalog by hand")


def events():
    fired = c.event.fire("py-deploy", "42")
    assert fired["Name"] == "py-deploy" and len(fired["ID"]) == 36
    index, heard = eventually("the event", lambda: entries(c.event.list("py-deploy")))
    assert heard[0]["ID"] == fired["ID"] and heard[0]["Payload"] == b"42"
    assert c.event.list("py-other")[1] == []
    step("events")


def prepared_queries():
    created = c.query.create("py-web", name="py-", ttl="7s", regexp="^py-(.+)$", onlypassing=True)
    query = c.query.get(created["ID"])[0]
    assert query["Template"] == {"Type": "name_prefix_match", "Regexp": "^py-(.+)$", "RemoveEmptyTags": False}
    assert [q["ID"] for q in c.query.list()] == [created["ID"]]
    answer = c.query.execute("py-anything", limit=1)
    assert [n["Service"]["ID"] for n in answer["Nodes"]] == ["py-web-1"], answer
    assert answer["DNS"]["TTL"] == "7s"
    assert c.query.explain("py-anything")["Query"]["Service"]["Service"] == "py-web"
    assert c.query.delete(created["ID"]) is True
    assert c.query.list() == []
    step("prepared queries")


def refusals():
    for refused, call in [
        (ACLDisabled, lambda: c.acl.list()),
        (BadRequest, lambda: c.health.service("py-web", index="x")),
        (ConsulException, lambda: c.kv.put("py-x", "1", acquire="no-such-session")),
    ]:
        try:
            call()
        except refused:
            continue
        raise AssertionError("expected " + refused.__name__)
    step("refusals")


def deregister():
    assert c.agent.service.deregister("py-web-1") is False
    assert agent_put("/service/deregister/py-web-1")
    assert "py-web-1" not in c.agent.services()
    assert eventually("py-web gone", lambda: c.catalog.service("py-web")[1] == [])
    step("deregister")


status_and_cluster()
service_with_ttl_check()
checks_by_put()
maintenance()
blocking_health()
key_value()
blocking_key()
sessions_and_locks()
catalog_by_hand()
events()
prepared_queries()
refusals()
deregister()
