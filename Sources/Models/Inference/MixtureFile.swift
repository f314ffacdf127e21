import Files
import Foundation
import Training
import Yams

/// A mixture as a small file, which is itself a model:
///
///     mixture:
///     - model: network.h5     # beside this file, if not from / on
///       weight: 0.6
///     - model: words.ngrams
///       weight: 0.3
///     cache:                  # may be left out
///       size: 500
///       weight: 0.1
public enum MixtureFile {
  private struct Contents: Decodable {
    struct Component: Decodable {
      var model: String
      var weight: Double
    }

    struct Cache: Decodable {
      var size: Int
      var weight: Double
    }

    var mixture: [Component]
    var cache: Cache?
  }

  private static let mostModels = 64

  /// Opens the models that a file names. Throws `MixtureError` for what is no such file, `FileError`, and what opening the
  /// models throws.
  static func read(_ path: String, passedOver: (String) -> Void) throws -> Mixture {
    guard
      let text = try MappedFile.withBytes(
        of: path,
        { bytes in
          bytes.count > BoundedYAML.mostBytes ? nil : String(validating: bytes, as: UTF8.self)
        })
    else {
      throw MixtureError("\(path): expected a mixture of models as YAML, found a file that is too large or not UTF-8")
    }
    let contents: Contents
    do {
      guard let node = try BoundedYAML.compose(text), node.mapping?["mixture"] != nil else {
        throw MixtureError(
          "\(path): expected a mixture of models, found a file without the key mixture; a run's configuration is no model: "
            + "name the run's folder")
      }
      contents = try YAMLDecoder().decode(Contents.self, from: node)
    } catch let refusal as BoundedYAML.Refusal {
      throw MixtureError("\(path): \(refusal)")
    } catch let error as DecodingError {
      throw MixtureError(
        "\(path): expected a mixture of models, found other keys or values (\("\(error)".prefix(200)))")
    }
    let weights = contents.mixture.map(\.weight) + [contents.cache?.weight].compactMap { $0 }
    guard (1...mostModels).contains(contents.mixture.count), weights.allSatisfy({ $0 > 0 && $0.isFinite }),
      contents.cache.map({ $0.size > 0 && $0.size <= Int(Int32.max) }) ?? true
    else {
      throw MixtureError(
        "\(path): expected 1 to \(mostModels) models with weights above 0, and a cache of 1 token or more, found others"
      )
    }
    let components = try contents.mixture.map { component in
      let isAbsolute = component.model.hasPrefix("/")
      let own = isAbsolute ? component.model : "\(FileSystem.parent(of: path))/\(component.model)"
      if own.hasSuffix(".yaml") || own.hasSuffix(".yml") {
        throw MixtureError(
          "\(path): expected models, found the mixture \(component.model); name the models that it has")
      }
      return Mixture.Component(try SavedModel(own, passedOver: passedOver), weight: component.weight)
    }
    return try Mixture(components, cache: contents.cache.map { Mixture.Cache(size: $0.size, weight: $0.weight) })
  }

  /// Writes a mixture. Models below the file's folder are named from there. Throws `FileError`.
  public static func write(_ mixture: Mixture, to path: String) throws {
    let folder = try FileSystem.resolved(FileSystem.parent(of: path)) + "/"
    func section(_ pairs: KeyValuePairs<String, String>) -> Node { Node(pairs.map { (Node($0), Node($1)) }) }
    func digits(_ weight: Double) -> String { String(format: "%.6f", max(weight, 1e-6)) }
    var all: [(Node, Node)] = [
      (
        Node("mixture"),
        Node(
          try mixture.components.map { component in
            let own = try FileSystem.resolved(component.model.path)
            let shown = own.hasPrefix(folder) ? String(own.dropFirst(folder.count)) : own
            return section(["model": shown, "weight": digits(component.weight)])
          })
      )
    ]
    if let cache = mixture.cache {
      all.append((Node("cache"), section(["size": "\(cache.size)", "weight": digits(cache.weight)])))
    }
    let yaml = try Yams.serialize(node: Node(all), allowUnicode: true)
    try OutputFile.replace(path) { try $0.write(yaml) }
  }
}
