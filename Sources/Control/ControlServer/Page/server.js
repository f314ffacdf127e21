// ---- The server ----------------------------------------------------------------------------------------------

class ServerError extends Error {
  /** `status` is 0 where there was no answer. */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const loginMessage = "This login is no longer good. Run `lockstep view` again and open the link it gives.";

/** Seeds have 64 bits and would lose their last digits as numbers: they stay text. No quote inside a JSON string
    stands without a backslash, so this finds only keys. */
const parse = (json) => JSON.parse(json.replace(/(?<!\\)"seed"\s*:\s*(\d+)/g, '"seed":"$1"'));

/** The response to a request, if it is a good one; throws ServerError. `body` is JSON text. */
async function request(method, path, body, signal) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(path, { method, headers, body, signal, cache: "no-store" }).catch(throwUnreachable);
  if (!response.ok) throw await refusal(response);
  return response;
}

/** What browsers throw where the network fails says nothing to people. */
function throwUnreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new ServerError(0, "The daemon cannot be reached. This page keeps trying by itself.");
}

async function refusal(response) {
  if (response.status === 401) return new ServerError(401, loginMessage);
  const text = await response.text().catch(() => "");
  try {
    return new ServerError(response.status, parse(text).message);
  } catch {
    return new ServerError(response.status, `The daemon answered ${response.status} ${response.statusText}`);
  }
}

async function ask(method, path, value) {
  const body = value === undefined ? undefined : JSON.stringify(value);
  return parse(await (await request(method, path, body)).text());
}

/** The events of a stream, each { name, data }; a comment is one without data. */
async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(throwUnreachable);
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      yield* blocks.map(parseEvent);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseEvent(block) {
  const fields = block.split(/\r?\n/).map((line) => /^([^:]*):? ?(.*)$/.exec(line));
  const values = (name) => fields.filter((field) => field[1] === name).map((field) => field[2]);
  return { name: values("event").at(-1), data: values("data").join("\n") };
}
