import Checkpoints
import TaskMetrics
import Networks
import Training

/// A text that somebody wants written.
public struct GenerationOrder: Codable, Equatable, Sendable {
  public let id: Int
  public let prompt: String
  /// Whether the prompt begins a line.
  public let begin: Bool
  /// In tokens.
  public let length: Int
  /// The text ends before the first of these that comes up in it.
  public let stop: [String]
  public let settings: SamplingSettings

  public init(
    id: Int, prompt: String, begin: Bool = true, length: Int, stop: [String] = [], settings: SamplingSettings
  ) {
    self.id = id
    self.prompt = prompt
    self.begin = begin
    self.length = length
    self.stop = stop
    self.settings = settings
  }
}

/// What is asked of a run while it runs. The numbers are the asker's, for the answer.
public enum RunRequest: Codable, Equatable, Sendable {
  public enum Part: String, Codable, Sendable { case validation, test }

  case evaluate(id: Int, part: Part)
  case checkpoint(id: Int)
  case generate(GenerationOrder)
}

/// What comes back.
public enum RunAnswer: Equatable, Sendable {
  /// Metrics, details included. Training stood still for `pausedSeconds` of the `seconds` it took.
  case evaluated([String: Double], step: Int, seconds: Double, pausedSeconds: Double)
  case saved(step: Int, path: String)
  /// More of a text.
  case text(String)
  /// The text is complete; training stood still for `pausedSeconds` while it and others were written.
  case written(step: Int, tokens: Int, seconds: Double, pausedSeconds: Double)
  case failed(String)
}

/// What is wanted of a run at one moment.
public struct PendingCommands: Equatable, Sendable {
  /// New since last asked, in order.
  public var requests: [RunRequest] = []
  /// Texts that nobody waits for any more, new since last asked.
  public var abandoned: [Int] = []
  public var isPaused = false
  /// Why the run should save and end; nil while it should not.
  public var stopReason: String?

  public init() {}
}

/// How a run stands before its first step.
public struct RunBeginning: Sendable {
  public let name: String
  public let directory: String
  /// As YAML.
  public let configuration: String
  /// Of each rank; the last `evaluators` of them are set aside.
  public let hosts: [String]
  public let evaluators: Int
  public let parameters: Int
  public let totalSteps: Int
  public let epochs: Int
  public let progress: TrainingProgress
  /// What is measured.
  public let metrics: [Metric]
  /// What is told of an evaluation that somebody asks for.
  public let told: [Metric]
  /// Of the best evaluation on schedule.
  public let best: [String: Double]
  public let curves: Curves
  public let samples: [Sample]
}

/// What the ranks of a run do.
public enum RunActivity: String, Sendable {
  case preparing, training, evaluating, generating, saving, paused, stopping
}

/// How a rank's steps go: seconds of a step's own work, and seconds it waited for others in a step, lately.
public struct RankPace: Equatable, Sendable {
  public let rank: Int
  public let workSeconds: Double
  public let waitSeconds: Double
  /// Whether others wait for it: `output.stragglerRatio` says from when on.
  public var isStraggler = false
}

/// The observer and controller of a run, on the first rank. Called on the thread that trains, between steps.
public protocol RunControl: AnyObject {
  /// The run holds the lock of its folder, and its state is that from which training starts.
  func runBegins(_ beginning: RunBeginning) throws
  func runDoes(_ activity: RunActivity)
  func ranksPace(_ ranks: [RankPace])
  /// Why the run should save and end, as in the pendingCommands; to be asked at any time.
  var stopReason: String? { get }
  /// What is wanted now. Each request is handed out once, and answered once (texts in pieces) unless it is abandoned or
  /// the run ends.
  func pendingCommands() -> PendingCommands
  /// Waits until the pendingCommands may have changed, a tenth of a second at most.
  func waitForCommands()
  func answer(_ id: Int, _ answer: RunAnswer)
}
