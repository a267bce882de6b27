/** Refusals of DNS over HTTPS. */

/** The request is answered with this status instead. `message` is for a person and shown to the client. */
export class DohError extends Error {
  override readonly name = 'DohError';
  /** 400–599. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
