import TestSupport
import Testing

@testable import Corpus

@Suite struct LaneTests {
  /// A text in which every token says where it is.
  private func tokens(_ count: Int) -> [Int32] { (0..<Int32(count)).map { $0 } }

  @Test func trainingLanesAreContiguous() throws {
    let layout = try LaneLayout(tokens: 100, lanes: 3, sequenceLength: 5)
    #expect(layout.windowsPerEpoch == 6)
    #expect(layout.unusedTokens == 9)
    let cursor = LaneCursor(source: tokens(100), layout: layout, lanes: 0..<3)
    var window = cursor.makeWindow()
    for step in 0..<6 {
      try cursor.read(step, epoch: 0, into: &window)
      for time in 0..<5 {
        for lane in 0..<3 {
          let token = Int32(lane * 33 + step * 5 + time)
          #expect(window.inputs[time * 3 + lane] == token)
          #expect(window.targets[time * 3 + lane] == token + 1)
        }
      }
    }
  }

  @Test(arguments: [(101, 10, 10), (102, 10, 10), (1000, 7, 13), (3, 1, 2), (3, 2, 1)])
  func ranksTogetherReadTheGlobalBatch(count: Int, lanes: Int, length: Int) throws {
    let layout = try LaneLayout(tokens: count, lanes: lanes, sequenceLength: length)
    let whole = LaneCursor(source: tokens(count), layout: layout, lanes: 0..<lanes)
    var all = whole.makeWindow()
    var predicted: [Int32] = []
    for step in 0..<layout.windowsPerEpoch {
      try whole.read(step, epoch: 0, into: &all)
      predicted += all.targets
      for lane in 0..<lanes {
        let one = LaneCursor(source: tokens(count), layout: layout, lanes: lane..<lane + 1)
        var window = one.makeWindow()
        try one.read(step, epoch: 0, into: &window)
        #expect(window.inputs == (0..<length).map { all.inputs[$0 * lanes + lane] })
        #expect(window.targets == (0..<length).map { all.targets[$0 * lanes + lane] })
      }
    }
    #expect(Set(predicted).count == predicted.count)
    #expect(predicted.count + layout.unusedTokens == count - 1)
  }

  @Test func textsTooShortAreRefused() throws {
    #expect(try LaneLayout(tokens: 61, lanes: 3, sequenceLength: 20).windowsPerEpoch == 1)
    for count in [60, 1, 0] {
      expectError("at least 61 tokens for 3 lanes and windows of 20, found \(count)", "fewer lanes") {
        _ = try LaneLayout(tokens: count, lanes: 3, sequenceLength: 20)
      }
    }
  }

  @Test(arguments: [0, 1, 2, 5, 23, 24, 25, 100], [1, 3, 8])
  func evaluationPredictsEveryTokenOnce(count: Int, lanes: Int) throws {
    let layout = EvaluationLayout(tokens: count, lanes: lanes)
    let sizes = (0..<lanes).map { layout.predictions(lane: $0).count }
    #expect(sizes.max() == layout.longest)
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
    var predicted: [Int32] = []
    let middle = lanes / 2
    for owned in [0..<middle, middle..<lanes] {
      let cursor = EvaluationCursor(source: tokens(count), layout: layout, lanes: owned)
      var window = Window(sequenceLength: 7, lanes: owned.count)
      var next = owned.map { layout.predictions(lane: $0).lowerBound }
      for block in 0..<layout.blocks(of: 7) {
        try cursor.read(block: block, into: &window)
        for time in 0..<7 {
          for row in 0..<owned.count {
            let (input, target) = (
              window.inputs[time * owned.count + row], window.targets[time * owned.count + row]
            )
            if target == Window.ended {
              #expect(input == 0)
              continue
            }
            #expect(Int(target) == next[row] && input == target - 1)
            next[row] += 1
            predicted.append(target)
          }
        }
      }
    }
    #expect(predicted.sorted() == (1..<Int32(max(1, count))).map { $0 })
  }

  @Test func aRankMapsOnlyItsShards() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("text", String(repeating: "a b c d\n", count: 100))
    let corpus = try CorpusPreparation.open(
      folder.configuration(text: [path]) {
        $0.split = [1, 0, 0]
        $0.shards = 10
      })
    let reader = corpus.part(.train)
    let layout = try LaneLayout(tokens: reader.count, lanes: 10, sequenceLength: 7)
    let cursor = LaneCursor(source: reader, layout: layout, lanes: 3..<5)
    var window = cursor.makeWindow()
    for step in 0..<layout.windowsPerEpoch { try cursor.read(step, epoch: 0, into: &window) }
    #expect((2...3).contains(reader.mappedFiles))
  }
}
