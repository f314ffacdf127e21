// ---- Begin ---------------------------------------------------------------------------------------------------

const { training } = curves;
setMetrics();
charts.push(
  new Chart("throughput", {
    scale: scales.fromZero, series: [{ table: training, column: "tokensPerSecond", color: "--training" }],
  }),
  new Chart("learning-rate", {
    scale: scales.fromZero, series: [{ table: training, column: "learningRate", color: "--training" }],
  }),
  new Chart("gradient-norm", {
    scale: scales.logarithmic, series: [{ table: training, column: "gradientNorm", color: "--training" }],
  }),
);
window.addEventListener("resize", invalidateCharts);
byId("metric-charts").addEventListener("change", (event) => {
  view.part = Number(event.target.value);
  invalidateCharts();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", invalidateCharts);

onPress(byId("evaluate"), evaluate);
onPress(byId("checkpoint"), checkpoint);
onPress(byId("pause"), pauseOrResume);
onPress(byId("stop"), stop);
byId("generate").addEventListener("submit", runGeneration);
byId("generate-stop").addEventListener("click", () => writing?.abort());
byId("submit").addEventListener("submit", (event) => {
  event.preventDefault();
  press(event.submitter, () => submitJob(event.target));
});
onPress(byId("copy-configuration"), async () => {
  byId("submit").elements.configuration.value = await runConfiguration();
});
byId("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) byId("submit").elements.configuration.value = await file.text();
});
byId("configuration").addEventListener("toggle", () => showConfiguration().catch(sayError));
for (const button of byId("question").querySelectorAll("button")) {
  button.addEventListener("click", () => byId("question").close(button.value));
}
showSamples([]);
follow();
