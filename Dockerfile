# Build: everything needed to compile; run: Node, production dependencies and dist, as an unprivileged user.
ARG BASE_IMAGE=node:26-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM ${BASE_IMAGE}
ENV NODE_ENV=production
WORKDIR /opt/proconsul
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY docker/proconsul docker/proconsul-gateway docker/consul /usr/local/bin/
RUN chmod 0755 /usr/local/bin/proconsul /usr/local/bin/proconsul-gateway /usr/local/bin/consul \
  && mkdir -p /data /etc/proconsul \
  && chown 1000:1000 /data
USER 1000:1000
VOLUME /data
EXPOSE 8300 8301 8301/udp 8302 8302/udp 8500 8600 8600/udp
CMD ["proconsul", "agent", "-dev", "-client=0.0.0.0"]
