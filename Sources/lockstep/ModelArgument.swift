import ArgumentParser
import Foundation
import Inference
import Kernels
import Runs

/// A model to use.
struct ModelArgument: ParsableArguments {
  @Argument(
    help: "A model file (.h5, .safetensors), a checkpoint, or a run's folder (its newest checkpoint).",
    completion: .file(extensions: ["h5", "safetensors"]))
  var model: String

  func open() throws -> SavedModel {
    try SavedModel(model) { Console.warn("passed over \($0)") }
  }

  /// Opens it to read or write a token at a time: too little work to be shared by threads, which would wait for each other,
  /// unless the environment says how many there are to be.
  func openForOneStream() throws -> SavedModel {
    if ProcessInfo.processInfo.environment["OMP_NUM_THREADS"] == nil { try OneDNN.setThreads(1) }
    return try open()
  }
}
