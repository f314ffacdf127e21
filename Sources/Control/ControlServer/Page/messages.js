// ---- Messages and questions ----------------------------------------------------------------------------------

/** Answers go by themselves, for what they tell is seen elsewhere too; errors stay until dismissed. */
function say(text, isError = false) {
  const close = make("button", { type: "button", className: "small", textContent: "✕", ariaLabel: "Dismiss" });
  const message = make("div", { className: isError ? "message error" : "message" }, make("p", {}, text), close);
  if (isError) message.setAttribute("role", "alert");
  close.addEventListener("click", () => message.remove());
  prepend(byId("messages"), message, 4);
  if (!isError) setTimeout(() => message.matches(":hover, :focus-within") || message.remove(), 20000);
}

function sayError(error) {
  if (error.name !== "AbortError") say(error.message, true);
}

/** Asks before something that cannot be taken back. */
function isSure(title, text, verb) {
  const dialog = byId("question");
  setText(byId("question-title"), title);
  setText(byId("question-text"), text);
  setText(dialog.querySelector("[value=yes]"), verb);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** Does what a button is for: once at a time, and errors are shown. */
async function press(button, action) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  await action().catch(sayError);
  button.setAttribute("aria-disabled", "false");
}

function onPress(button, action) {
  button.addEventListener("click", () => press(button, action));
}
