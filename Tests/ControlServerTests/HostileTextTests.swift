import Checkpoints
import ControlAPI
import Corpus
import Foundation
import TestSupport
import Testing
import Training

@testable import ControlServer
@testable import Daemon

/// Configurations and metadata that were written to hurt, to everything that reads them: the reader that `train` uses, the
/// API of a daemon, and what `inspect` reads of a model's file. Each is answered, and none takes memory with it.
///
/// More of them, from another seed: `LOCKSTEP_MUTATIONS=50000 LOCKSTEP_SEED=7 launch/test --filter HostileTextTests`.
@Suite struct HostileTextTests {
  @Test func everyTextIsAnswered() throws {
    let folder = try TemporaryFolder()
    let (desk, _) = try ControlState.serving(folder.path, data: [])
    let server = try ControlServer(in: folder.path, backend: desk) { Issue.record("a fault of the daemon: \($0)") }
    defer { server.stop() }
    var readers = try Readers(socket: server.socketPath)
    var memory = 0
    try forEachMutation(count: 1000) { number, mutator in
      try readers.read(number, &mutator)
      // What is set up once has been by then.
      if number == 500 { memory = try residentMemory() }
    }
    let growth = try memory == 0 ? 0 : residentMemory() - memory
    print("hostile texts: \(readers.summary); \(growth >> 20) MB more memory after the first 500")
    // Other tests run meanwhile.
    #expect(growth < 500_000_000)
  }

  /// In bytes.
  private func residentMemory() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
    return try #require(Int(line.split(whereSeparator: \.isWhitespace)[1])) * 1024
  }
}

/// All that reads such texts, and how long it took at most.
private struct Readers {
  private let socket: String
  private var client: RawClient
  private let yaml: String
  private let texts: [String: String]
  private var outcomes: [String: (count: Int, longest: Double)] = [:]

  init(socket: String) throws {
    self.socket = socket
    client = try RawClient(socket: socket, seconds: 60)
    var configuration = RunConfiguration()
    configuration.corpus.sampleLines = 10
    configuration.model.hiddenSizes = [4]
    yaml = try ConfigurationReader.yaml(of: configuration)
    texts = try ModelMetadata(
      configuration: configuration, vocabulary: Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "cats"]),
      progress: TrainingProgress(), results: RunResults(), corpus: CorpusIdentity(),
      provenance: Provenance(program: "1", oneDNN: "3", instructionSet: "avx2", threads: 1, ranks: 1)
    ).texts()
  }

  var summary: String {
    outcomes.sorted { $0.key < $1.key }.map {
      "\($0.value.count) \($0.key), the longest \(String(format: "%.0f", $0.value.longest * 1000)) ms"
    }.joined(separator: "; ")
  }

  /// One text to one reader, in turn.
  mutating func read(_ number: Int, _ mutator: inout Mutator) throws {
    switch number % 6 {
    case 0:
      let text = mutator.hostileYAML(yaml)
      try timed("read by train") { try Self.expectRefusal { _ = try ConfigurationReader.read(yaml: text) } }
    case 1:
      let setting = mutator.hostileSetting(yaml)
      let yaml = yaml
      try timed("set for train") {
        try Self.expectRefusal { _ = try ConfigurationReader.read(yaml: yaml, settings: [setting]) }
      }
    case 2:
      let submission = JobSubmission(
        configuration: mutator.hostileYAML(yaml), settings: Bool.random(using: &mutator.random) ? [] : ["seed=2"])
      try submit(String(decoding: JSONEncoder().encode(submission), as: UTF8.self))
    case 3:
      let submission = JobSubmission(configuration: yaml, settings: [mutator.hostileSetting(yaml)])
      try submit(String(decoding: JSONEncoder().encode(submission), as: UTF8.self))
    case 4:
      let submission = JobSubmission(configuration: yaml)
      try submit(mutator.hostileJSON(String(decoding: JSONEncoder().encode(submission), as: UTF8.self)))
    default:
      let name = texts.keys.sorted()[Int.random(in: 0..<texts.count, using: &mutator.random)]
      var texts = texts
      let text = texts[name] ?? ""
      texts[name] = name == "configuration" ? mutator.hostileYAML(text) : mutator.hostileJSON(text)
      try timed("read by inspect") { [texts] in
        try Self.expectRefusal { _ = try ModelMetadata(texts: texts, source: "a.safetensors") }
      }
    }
  }

  /// Read, or refused with an error that is one of a reader's.
  private static func expectRefusal(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch {
      #expect(error is ConfigurationError || error is CheckpointError || error is CorpusError, "\(error)")
      #expect("\(error)".utf8.count < 10_000, "\("\(error)".prefix(300))")
    }
  }

  private mutating func submit(_ body: String) throws {
    let isTooLarge = body.utf8.count > Bounds().submission
    try timed("answered by the API") { [client] in
      let answer: RawAnswer
      if isTooLarge {
        // Refused before any of it is sent.
        try client.send("POST /v1/queue HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
        answer = try client.answer()
      } else {
        answer = try client.request("POST", "/v1/queue", body: body)
      }
      #expect([201, 400, 409, 413, 503].contains(answer.status), "\(answer.status) \(answer.body.prefix(300))")
      #expect((answer.status == 413) == isTooLarge)
    }
    if isTooLarge { client = try RawClient(socket: socket, seconds: 60) }
  }

  private mutating func timed(_ what: String, _ body: () throws -> Void) throws {
    let begin = ContinuousClock.now
    try body()
    let seconds = (ContinuousClock.now - begin) / .seconds(1)
    let before = outcomes[what] ?? (0, 0)
    outcomes[what] = (before.count + 1, max(before.longest, seconds))
  }
}
