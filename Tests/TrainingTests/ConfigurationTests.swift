import Corpus
import Networks
import Testing
import Training

@Suite struct ConfigurationTests {
  private func read(_ yaml: String?, _ settings: [String] = []) throws -> RunConfiguration {
    // Every run needs a text; these tests are about the rest.
    try ConfigurationReader.read(yaml: yaml, name: "run.yaml", settings: ["corpus.text=a.txt"] + settings)
  }

  private func problem(_ yaml: String?, _ settings: [String] = []) -> String {
    do {
      _ = try read(yaml, settings)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  @Test func sayingNothingGivesTheDefaults() throws {
    var expected = RunConfiguration()
    expected.corpus.text = ["a.txt"]
    #expect(try read(nil) == expected)
    #expect(try read("") == expected)
    #expect(try read("model:\ntraining:\n") == expected)
  }

  @Test func fileAndThenSettingsAreLaidOverTheDefaults() throws {
    let found = try read(
      """
      name: mine
      model:
        cell: gru
        hiddenSizes: [10, 20]
        initialization: {kind: uniform, range: 0.05}
      training: {epochs: 3, clipNorm: 10}
      """,
      ["training.epochs=4", "optimizer.kind=sgd", "model.tiedWeights=true", "model.embeddingSize=20"])
    #expect(found.name == "mine")
    #expect(found.model.cell == .gru && found.model.hiddenSizes == [10, 20] && found.model.tiedWeights)
    #expect(found.model.initialization == Initialization(kind: .uniform, range: 0.05))
    #expect(found.training.epochs == 4 && found.training.clipNorm == 10)
    #expect(found.training.sequenceLength == RunConfiguration().training.sequenceLength)
    #expect(found.optimizer.kind == .sgd)
  }

  @Test func aPathMayStandForAList() throws {
    #expect(try read(nil).corpus.text == ["a.txt"])
    #expect(try read("corpus: {text: [a, b]}", ["corpus.text=[c, d]"]).corpus.text == ["c", "d"])
  }

  @Test func whatIsWrittenReadsBack() throws {
    var configuration = RunConfiguration()
    configuration.corpus.text = ["x y.txt", "Käse: 1"]
    configuration.seed = .max
    configuration.optimizer.learningRate = 1.0 / 3
    configuration.generation.prompts = ["yes", "a: b"]
    configuration.coordinator.checkpoint = [.steps(500), .epochs(1), .seconds(90), .seconds(7200), .seconds(0.5)]
    configuration.generation.temperatures = [0, 0.1, 1e-7]
    let yaml = try ConfigurationReader.yaml(of: configuration)
    #expect(try ConfigurationReader.read(yaml: yaml) == configuration)
  }

  @Test func unknownKeysAreRefusedWithLineAndSuggestion() {
    #expect(
      problem("seed: 2\ntraining:\n  epoch: 3\n")
        == "run.yaml:3: unknown key 'training.epoch'; did you mean 'training.epochs'?")
    #expect(problem("trainig: {epochs: 3}").contains("run.yaml:1: unknown key 'trainig'; did you mean 'training'?"))
    #expect(problem("epochs: 3").contains("did you mean 'training.epochs'?"))
    #expect(problem("zzzzzzzz: 3").contains("configs/README.md lists the keys"))
    #expect(
      problem(nil, ["optimizer.learningrate=1"])
        == "--set optimizer.learningrate=1: unknown key 'optimizer.learningrate'; "
        + "did you mean 'optimizer.learningRate'?")
  }

  @Test func wrongTypesAreRefusedWithTheLine() {
    #expect(
      problem("training:\n  epochs: ten\n") == "run.yaml:2: training.epochs is 'ten'; expected a whole number")
    #expect(problem("training: {clipNorm: x}").contains("training.clipNorm is 'x'; expected a number"))
    #expect(problem("model: {tiedWeights: 3}").contains("model.tiedWeights is '3'; expected true or false"))
    #expect(problem("model: {hiddenSizes: 7}").contains("model.hiddenSizes is '7'; expected a list"))
    #expect(problem("model: 7").contains("model is a section"))
    #expect(problem("- 7").contains("expected keys and values"))
    #expect(problem("model: [").contains("run.yaml: this is not YAML"))
    #expect(problem("seed: 1\nseed: 2").contains("run.yaml: this is not YAML"))
    #expect(problem(nil, ["epochs"]).contains("expected key=value"))
  }

  /// A key of another kind of network is refused, with whose it is, and is not written either.
  @Test func keysBelongToTheirKind() throws {
    let foreign = problem("model:\n  kind: window\n  cell: lstm")
    #expect(foreign.hasPrefix("run.yaml:3: model.cell is a key of model.kind recurrent; expected keys of window"))
    #expect(
      problem(nil, ["model.window=3"]).hasPrefix("--set model.window=3: model.window is a key of model.kind window"))
    for kind in ["recurrent", "window"] {
      let configuration = try ConfigurationReader.read(yaml: nil, settings: ["corpus.text=[a]", "model.kind=\(kind)"])
      let yaml = try ConfigurationReader.yaml(of: configuration)
      #expect(yaml.contains("cell: ") == (kind == "recurrent") && yaml.contains("activation: ") == (kind == "window"))
      #expect(try ConfigurationReader.read(yaml: yaml) == configuration)
    }
  }

  @Test func wordsThatAreNoChoiceAreRefused() {
    #expect(
      problem("model:\n  cell: lsmt")
        == "run.yaml:2: model.cell is 'lsmt' (did you mean 'lstm'?); "
        + "expected one of lstm, gru, gru-vanilla, gru-simple, rnn-tanh, rnn-relu, rnn-leaky-relu, rnn-sigmoid")
    #expect(problem("optimizer: {kind: 3}").contains("optimizer.kind is '3'; expected one of sgd,"))
  }

  @Test(arguments: [
    ("model.hiddenSizes=[]", "at least one layer"), ("model.hiddenSizes=[0]", "1 to 1048576 units"),
    ("model.dropout=1.5", "a probability"), ("model.dropout=1", "a probability"),
    ("model.embeddingSize=0", "from 1 to 2^20"), ("training.batchSize=0", "from 1 to 2^30"),
    ("training.sequenceLength=-1", "from 1 to 2^30"), ("training.epochs=-1", "from 0 to 2^30"),
    ("training.clipNorm=-1", "from 0 to 1e9"), ("training.clipNorm=.nan", "from 0 to 1e9"),
    ("optimizer.learningRate=.inf", "0 or more"), ("optimizer.beta1=1", "less than 1"),
    ("schedule.factor=0", "in (0, 1]"), ("generation.temperatures=[-1]", "temperatures of 0 or more"),
    ("model.tiedWeights=true", "equal to the last of hiddenSizes"), ("name=a/b", "a name for a folder"),
    ("name=..", "a name for a folder"), ("corpus.split=[1]", "three fractions"),
    ("training.threads=3000000000", "0 (as the environment says) to 4096"), ("output.reportSeconds=1e30", "to 1e9"),
    ("optimizer.epsilon=1e-50", "single precision"), ("training.batchSize=2000000000", "to 2^30"),
    ("schedule.minimumRate=1", "0 to optimizer.learningRate"), ("output.directory=", "a folder"),
    ("training.bucketSize=0", "from 1 to 2^30"), ("training.batchSize=99999999999999999999", "a whole number"),
  ])
  func impossibleValuesAreRefused(setting: String, expected: String) {
    let settings = setting.hasPrefix("model.tied") ? ["model.embeddingSize=3", setting] : [setting]
    let found = problem(nil, settings)
    #expect(found.contains(expected) && found.hasPrefix("--set \(setting)"), "\(found)")
  }

  @Test func flagsTakeAnyText() throws {
    #expect(try read(nil, ["output.directory=ROMEO: # so"]).output.directory == "ROMEO: # so")
    #expect(try read(nil, ["output.directory='a b'"]).output.directory == "a b")
    #expect(try read(nil, ["name=7"]).name == "7")
  }

  @Test(arguments: [
    ("500 steps", Interval.steps(500)), ("1 step", .steps(1)), ("2 epochs", .epochs(2)), ("90 seconds", .seconds(90)),
    ("0.5 seconds", .seconds(0.5)), ("10 minutes", .seconds(600)), ("1 hour", .seconds(3600)),
  ])
  func intervalsReadBack(text: String, interval: Interval) {
    #expect(Interval(text) == interval)
    #expect(interval.description == text)
  }

  @Test(arguments: ["", "5", "steps", "5 parsecs", "1.5 epochs", "5  of steps", "nan seconds"])
  func otherTextsAreNoIntervals(text: String) {
    #expect(Interval(text) == nil)
    #expect(problem(nil, ["coordinator.checkpoint=['\(text)']"]).contains("500 steps, 2 epochs, 10 minutes"))
  }

  @Test func plateausNeedEvaluationsOfEpochs() {
    #expect(
      problem(nil, ["schedule.kind=plateau", "coordinator.evaluate=[100 steps]"])
        .contains("expected an interval in epochs, such as [1 epoch]"))
    #expect(problem(nil, ["coordinator.generate=[0 steps]"]).contains("intervals of more than nothing"))
  }

  @Test func twoSourcesOrNoneAreRefused() {
    #expect(problem(nil, ["corpus.sampleLines=3"]).contains("corpus.text and corpus.sampleLines"))
    #expect(throws: ConfigurationError.self) { try ConfigurationReader.read(yaml: nil) }
  }
}
