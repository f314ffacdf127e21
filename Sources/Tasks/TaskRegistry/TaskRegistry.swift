import LanguageModeling
import Tasks
import Training

/// The one list of tasks.
extension TaskKind {
  public var task: any LearningTask.Type {
    switch self {
    case .languageModel: LanguageModelTask.self
    }
  }
}
