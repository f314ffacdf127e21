import ArgumentParser
import Foundation
import Hosts
import Inference
import Kernels
import Runs
import Terminal

/// A model to use.
struct ModelArgument: ParsableArguments {
  @Argument(
    help: "A model file (.h5, .safetensors, .ngrams, .arpa), a checkpoint, or a run's folder (its newest checkpoint).",
    completion: .file(extensions: ["h5", "safetensors", "ngrams", "arpa"]))
  var model: String

  func open() throws -> SavedModel {
    try SavedModel(model) { Console.warn("passed over \($0)") }
  }

  /// Opens it to compute with, with all threads. First of all: see `limitSpinning`.
  func openToCompute() throws -> SavedModel {
    if OneDNN.threads > 1 { limitSpinning() }
    if let warning = MachineCores().warning(threads: OneDNN.threads) { Console.warn(warning) }
    return try open()
  }

  /// Opens it to read or write one text: too little work to be shared by threads, which would wait for each other, unless the
  /// environment says how many there are to be.
  func openForOneStream() throws -> SavedModel {
    if ProcessInfo.processInfo.environment["OMP_NUM_THREADS"] != nil { return try openToCompute() }
    try OneDNN.setThreads(1)
    return try open()
  }
}
