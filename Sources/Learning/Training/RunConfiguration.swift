import Corpus
import Networks

/// Everything that decides what a run does: defaults, then the file, then flags (see `ConfigurationReader`).
/// The keys of the YAML are the names here; configs/README.md explains each.
public struct RunConfiguration: Codable, Equatable, Sendable {
  /// Names the run's folder.
  public var name = "run"
  /// Decides initial parameters, dropout masks, the ends of windows and samples.
  public var seed: UInt64 = 1
  /// What is learned from what.
  public var task = TaskKind.languageModel
  public var corpus = CorpusConfiguration()
  public var model = ModelConfiguration()
  public var training = TrainingConfiguration()
  public var optimizer = OptimizerConfiguration()
  public var schedule = ScheduleConfiguration()
  public var evaluation = EvaluationConfiguration()
  public var generation = GenerationConfiguration()
  public var coordinator = CoordinatorConfiguration()
  public var output = OutputConfiguration()

  public init() {}
}

/// The tasks there are: a module each, and a line of the registry.
public enum TaskKind: String, Codable, CaseIterable, Sendable {
  case languageModel = "language-model"
}

public struct TrainingConfiguration: Codable, Equatable, Sendable {
  /// Which sum of the tokens' gradients the optimizer sees.
  public enum GradientScale: String, Codable, Sendable, CaseIterable {
    /// Mean over all tokens of the global batch.
    case tokenMean = "token-mean"
    /// Summed over a window, averaged over lanes: what Zaremba's rates and clips are meant for.
    case laneMean = "lane-mean"
  }

  public enum ExchangePrecision: String, Codable, Sendable, CaseIterable {
    /// 32 bits: not rounded.
    case single
    /// 16 bits with the range of 32 (bfloat16): half the bytes, and three digits less.
    case half
  }

  /// Lanes of the global batch, over all ranks.
  public var batchSize = 20
  /// Tokens of a window: how far one step goes back.
  public var sequenceLength = 35
  /// What an epoch does with the tokens that fill no whole window.
  public var lastWindow = LastWindow.drop
  /// Moves the ends of windows, differently in each epoch, by up to so many tokens to and fro.
  public var windowJitter = 0
  public var epochs = 10
  /// Ends the run after so many steps; 0: no such end.
  public var maximumSteps = 0
  /// Windows whose gradients are added before one update.
  public var accumulation = 1
  public var gradient = GradientScale.tokenMean
  /// Largest norm of the whole gradient; a longer one is scaled down to it. 0: no clipping.
  public var clipNorm = 5.0
  /// Stops when validation has not improved for so many epochs; 0: never.
  public var patience = 0
  /// Floats exchanged in one piece.
  public var bucketSize = 1 << 20
  /// Exchanges the gradient of upper layers while lower ones still go backward, where every rank has a machine of its own
  /// and the output layer weights of its own.
  public var overlap = true
  /// Exchanges of a large embedding's gradient only the rows of tokens that were read.
  public var touchedRows = true
  /// What gradients are rounded to on their way between machines.
  public var exchange = ExchangePrecision.single
  /// The same bits at any number of ranks: each lane group's gradient is computed by itself, on one thread, and groups
  /// are summed in one order. Slower, and needs memory for some gradients more.
  public var reproducible = false
  /// Of `reproducible`: parts the lanes are dealt to; at most so many ranks.
  public var laneGroups = 4
  /// Steps between comparisons of all ranks' parameters; 0: never.
  public var checksumSteps = 100
  /// Seconds after which the run saves a checkpoint and stops, to be gone on with later; 0: none.
  public var timeLimit = 0.0
  /// Seconds for which a rank may be silent before the run is ended and the rank named; 0: for ever.
  public var stallTimeout = 60.0
  /// Threads of each rank; 0: what the environment gives.
  public var threads = 0

  public init() {}

  /// Steps of an epoch of so many batches. One that is not complete is made where the last window is learned from.
  public func steps(ofBatches batches: Int) -> Int {
    lastWindow == .learn ? (batches + accumulation - 1) / accumulation : batches / accumulation
  }

  /// No window has more tokens of a lane, whatever the text.
  var longestWindow: Int {
    lastWindow == .learn ? sequenceLength + 2 * windowJitter + 1 : sequenceLength
  }
}

public struct OptimizerConfiguration: Codable, Equatable, Sendable {
  public enum Kind: String, Codable, Sendable, CaseIterable {
    case sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad
  }

  public var kind = Kind.adam
  public var learningRate = 0.002
  /// Of `momentum` and `nesterov`.
  public var momentum = 0.9
  /// Of `adam` and `adamw`: decay of the mean of gradients.
  public var beta1 = 0.9
  /// Of `adam` and `adamw`: decay of the mean of squares.
  public var beta2 = 0.999
  /// Of `rmsprop`: decay of the mean of squares.
  public var smoothing = 0.99
  /// Added to the root of the mean of squares.
  public var epsilon = 1e-8
  /// `adamw` takes this part (times the rate) off each parameter; the others add it to the gradient (L2).
  public var weightDecay = 0.0

  public init(kind: Kind = .adam, learningRate: Double = 0.002) {
    self.kind = kind
    self.learningRate = learningRate
  }
}

public struct ScheduleConfiguration: Codable, Equatable, Sendable {
  public enum Kind: String, Codable, Sendable, CaseIterable {
    case constant, step, exponential, cosine, plateau
  }

  public var kind = Kind.constant
  /// Of `step`, `exponential` and `plateau`: what the rate is multiplied with.
  public var factor = 0.5
  /// Of `step`: epochs at full rate before the first reduction.
  public var fullEpochs = 4
  /// Of `cosine`: steps over which the rate rises from 0.
  public var warmupSteps = 0
  /// Of `cosine` and `plateau`: no rate below this.
  public var minimumRate = 0.0
  /// Of `plateau`: epochs without improvement before a reduction.
  public var patience = 1

  public init(kind: Kind = .constant) { self.kind = kind }
}

public struct EvaluationConfiguration: Codable, Equatable, Sendable {
  /// Stretches a text is cut into, each read from zero state. More are faster, fewer lose less context;
  /// the number of ranks does not change it.
  public var lanes = 8

  public init() {}
}

public struct GenerationConfiguration: Codable, Equatable, Sendable {
  /// What samples begin with; each begins a line.
  public var prompts = [""]
  /// Tokens of a sample.
  public var length = 200
  /// One sample each of every prompt; 0 takes the most probable token, 1 draws as the model says.
  public var temperatures = [0.5, 0.8, 1.0]

  public init() {}
}

/// What happens while a run trains, and when. A list of intervals means: whenever one of them is over; an empty one: never.
public struct CoordinatorConfiguration: Codable, Equatable, Sendable {
  /// Evaluations of the validation text. Those at the end of epochs count for patience and plateau, all for the best.
  public var evaluate = [Interval.epochs(1)]
  /// Samples, beside those at the end of the run.
  public var generate: [Interval] = []
  /// Checkpoints, beside those at the beginning, at the end, when the run is stopped, and when validation was best.
  public var checkpoint = [Interval.epochs(1), .seconds(600)]
  /// Ranks set aside, the last ones, that evaluate and write texts with copies of the parameters while the others go on
  /// training.
  public var evaluators = 0

  public init() {}
}

public struct OutputConfiguration: Codable, Equatable, Sendable {
  /// Where runs' folders are.
  public var directory = "checkpoints"
  /// Seconds between plain progress lines.
  public var reportSeconds = 5.0
  /// Steps whose mean is one row of the training curve.
  public var curveSteps = 1
  /// Checkpoints kept beside the best one: the last so many; 0: all.
  public var keep = 2
  /// Gigabytes (10^9 bytes) that checkpoints may take: the oldest go, but never the newest or the best; 0: no limit.
  public var diskBudget = 0.0
  /// A rank whose own work in a step takes so many times that of the median rank, lane for lane, is named; 0: none is.
  public var stragglerRatio = 1.5
  /// Copies each checkpoint to a second host, where there is one that does not see the run's folder.
  public var copyCheckpoints = true

  public init() {}
}

extension RunConfiguration {
  /// Files and folders that a run reads, with the keys that name them. Those that are left out are not among them.
  public var readPaths: [(key: String, path: String)] {
    let lists = [
      ("corpus.text", corpus.text), ("corpus.train", corpus.train), ("corpus.validation", corpus.validation),
      ("corpus.test", corpus.test),
    ]
    let paths = [
      ("corpus.prepared", corpus.prepared), ("corpus.vocabulary", corpus.vocabulary), ("model.from", model.from),
    ]
    return (lists.flatMap { key, list in list.paths.map { (key, $0) } } + paths).filter { !$0.1.isEmpty }
  }

  /// Folders that a run writes into, likewise.
  public var writtenPaths: [(key: String, path: String)] {
    [("corpus.cache", corpus.cache), ("output.directory", output.directory)].filter { !$0.1.isEmpty }
  }

  /// Keys of `model` that mean something to another kind alone, with that kind.
  var foreignModelKeys: [(key: String, kind: NetworkKind)] {
    NetworkKind.allCases.flatMap { kind in
      kind.keys.filter { !model.kind.keys.contains($0) }.map { ($0, kind) }
    }
  }

  /// Settings that a run keeps from its first step to its last; all others may change when it is resumed.
  public static var fixedSettings: [(key: String, value: (RunConfiguration) -> String)] {
    [
      ("seed", { "\($0.seed)" }),
      ("task", { $0.task.rawValue }),
      ("model.kind", { $0.model.kind.rawValue }),
      ("model.cell", { $0.model.kind == .recurrent ? $0.model.cell.rawValue : "(not used)" }),
      ("model.window", { $0.model.kind == .window ? "\($0.model.window)" : "(not used)" }),
      ("model.activation", { $0.model.kind == .window ? $0.model.activation.rawValue : "(not used)" }),
      ("model.direct", { $0.model.kind == .window ? "\($0.model.direct)" : "(not used)" }),
      ("model.embeddingSize", { "\($0.model.embeddingSize)" }),
      ("model.hiddenSizes", { "\($0.model.hiddenSizes)" }),
      ("model.tiedWeights", { "\($0.model.tiedWeights)" }),
      ("training.batchSize", { "\($0.training.batchSize)" }),
      ("training.sequenceLength", { "\($0.training.sequenceLength)" }),
      ("training.lastWindow", { $0.training.lastWindow.rawValue }),
      ("training.windowJitter", { "\($0.training.windowJitter)" }),
      ("training.accumulation", { "\($0.training.accumulation)" }),
      ("training.reproducible", { "\($0.training.reproducible)" }),
      ("training.laneGroups", { $0.training.reproducible ? "\($0.training.laneGroups)" : "(not used)" }),
      ("training.gradient", { $0.training.gradient.rawValue }),
      ("optimizer.kind", { $0.optimizer.kind.rawValue }),
    ]
  }
}
