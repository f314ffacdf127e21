// ---- Generating ----------------------------------------------------------------------------------------------

let writing = null;

function generationRequest(form) {
  // By namedItem, because `elements.length` is how many there are.
  const value = (name) => form.elements.namedItem(name).value;
  const number = (name) => form.elements.namedItem(name).valueAsNumber;
  const fields = JSON.stringify({
    prompt: value("prompt"), length: number("length"), temperature: number("temperature"), topK: number("topK"),
    topP: number("topP"), minP: number("minP"), stream: true,
  });
  // In digits: JSON.stringify would round it.
  return value("seed") === "" ? fields : fields.replace(/}$/, `,"seed":${BigInt(value("seed"))}}`);
}

async function generate(form) {
  writing = new AbortController();
  const text = document.createTextNode("");
  const paper = byId("written").parentElement;
  byId("written").replaceChildren(make("span", { className: "prompt" }, form.elements.prompt.value), text);
  setText(byId("written-end"), "");
  // Tokens come faster than a screen can show them: what has come is shown once a frame.
  let waiting = "", frame = 0;
  const show = () => {
    frame = 0;
    const isAtEnd = paper.scrollTop + paper.clientHeight > paper.scrollHeight - 24;
    text.appendData(waiting);
    waiting = "";
    if (isAtEnd) paper.scrollTop = paper.scrollHeight;
  };
  try {
    const response = await request("POST", "/v1/generate", generationRequest(form), writing.signal);
    for await (const event of readEvents(response)) {
      if (event.data === "") continue;
      const value = parse(event.data);
      if (event.name === "error") throw new ServerError(response.status, value.message);
      if (event.name === "end") return showGenerationEnd(value);
      waiting += value.text;
      frame ||= requestAnimationFrame(show);
    }
  } finally {
    cancelAnimationFrame(frame);
    show();
  }
  throw new ServerError(0, "The connection was lost before the text ended.");
}

function showGenerationEnd(end) {
  const text = `${whole(end.tokens)} tokens after step ${whole(end.step)}, seed ${end.seed}`;
  setText(byId("written-end"), text + costText(end));
}

async function runGeneration(event) {
  event.preventDefault();
  if (writing !== null) return;
  setWriting(true);
  try {
    await generate(event.target);
  } catch (error) {
    if (error.name === "AbortError") setText(byId("written-end"), "Stopped.");
    else sayError(error);
  }
  writing = null;
  setWriting(false);
}

function setWriting(isWriting) {
  byId("written").ariaBusy = String(isWriting);
  byId("generate").querySelector(".primary").setAttribute("aria-disabled", String(isWriting));
  byId("generate-stop").setAttribute("aria-disabled", String(!isWriting));
}
