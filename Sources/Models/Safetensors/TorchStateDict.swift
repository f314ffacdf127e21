/// The tensors of a file by the names that `RNNModel` has for them (see `TorchTensor`), whatever wrapped the model when its
/// state dict was saved:
///
/// - DataParallel, DistributedDataParallel and WeightDrop add a part `module`, torch.compile one `_orig_mod`: these are left
///   out wherever they stand.
/// - A larger module that holds the model puts its name before all names: that is left out.
/// - awd-lstm-lm (Merity et al. 2018) has a module for each layer: `rnns.2.weight_ih_l0` is `rnn.weight_ih_l2`.
/// - Its WeightDrop learns `weight_hh_l0_raw`; a `weight_hh_l0` beside it is a copy with some of the numbers dropped.
struct TorchStateDict {
  typealias Tensor = SafetensorsFile.Tensor

  let file: SafetensorsFile
  private let tensors: [String: Tensor]

  /// Throws `SafetensorsError` for two tensors that have one place.
  init(_ file: SafetensorsFile) throws {
    self.file = file
    let names = Self.withoutCommonParts(file.tensors.map { Self.parts(of: $0.name) }).map(Self.name)
    var found: [String: (tensor: Tensor, isRaw: Bool)] = [:]
    for (tensor, (name, isRaw)) in zip(file.tensors, names) {
      if let other = found[name] {
        guard other.isRaw != isRaw else {
          throw file.error(
            tensor.name, "expected one tensor that is \(name), found \(shown(other.tensor.name)) too",
            remedy: "leave out those that are not of the model")
        }
        if other.isRaw { continue }
      }
      found[name] = (tensor, isRaw)
    }
    tensors = found.mapValues(\.tensor)
  }

  /// The tensor that `RNNModel` names so; its own name is that in the file.
  func tensor(_ name: String) -> Tensor? { tensors[name] }

  /// The first, as they lie in the file, that none of some names is that of.
  func first(besides names: Set<String>) -> Tensor? {
    tensors.filter { !names.contains($0.key) }.values.min { $0.range.lowerBound < $1.range.lowerBound }
  }

  /// What there is, for an error: names as the file has them, and shapes.
  var contents: String {
    let shownTensors = 16
    let all = file.tensors.prefix(shownTensors).map { "\(shown($0.name)) \($0.shape)" }.joined(separator: ", ")
    return file.tensors.count > shownTensors ? "\(all) and \(file.tensors.count - shownTensors) more" : all
  }

  // MARK: - Names

  /// Parts of a name that are looked at: a file may have names of any length.
  private static let mostParts = 16

  private static func parts(of name: String) -> [Substring] {
    name.utf8.split(separator: UInt8(ascii: "."), maxSplits: mostParts - 1, omittingEmptySubsequences: false)
      .map { Substring($0) }.filter { $0 != "module" && $0 != "_orig_mod" }
  }

  /// Leaves out what all names begin with, if the model's own follow it.
  private static func withoutCommonParts(_ names: [[Substring]]) -> [[Substring]] {
    let matrices = names.filter { $0.suffix(2) == ["encoder", "weight"] || $0.suffix(2) == ["decoder", "weight"] }
    guard let common = matrices.map({ $0.dropLast(2) }).min(by: { $0.count < $1.count }),
      names.allSatisfy({ $0.count > common.count && $0.starts(with: common) })
    else { return names }
    return names.map { Array($0.dropFirst(common.count)) }
  }

  /// The name in `RNNModel`, and whether WeightDrop made another tensor of it.
  private static func name(_ parts: [Substring]) -> (name: String, isRaw: Bool) {
    var parts = parts
    let isRaw = parts.last?.hasSuffix("_raw") ?? false
    if isRaw, let last = parts.popLast() { parts.append(last.dropLast(4)) }
    if parts.count == 3, parts[0] == "rnns", let layer = Int(parts[1]), parts[2].hasSuffix("_l0") {
      parts = ["rnn", "\(parts[2].dropLast(3))_l\(layer)"]
    }
    return (parts.joined(separator: "."), isRaw)
  }
}
