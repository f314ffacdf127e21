import ArgumentParser
import Foundation
import Inference
import Networks
import Runs
import Terminal

struct Complete: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists probable next tokens with their probabilities.",
    discussion: """
      Lists the most probable next tokens, and continues with the most probable one
      each time. Of a model of words, <unk> is listed and never written. The prompt
      begins a line, as a line that `lockstep score` is given does; --no-begin says
      that it stands in the middle of one.

        lockstep complete checkpoints/default "the cats"
        lockstep complete tiny.h5 "To be, or not to b" --count 5 --length 40
        lockstep complete words.h5 "in the" --count 0 --format json
        lockstep complete tiny.h5 -- "- the"

      With --count 0 all tokens are listed: their probabilities sum to 1.
      """)

  @OptionGroup var model: MixedModelArgument

  @Argument(help: "Prompt. Default: empty, the start of a line.")
  var prompt: TextArgument?

  @Flag(inversion: .prefixedNo, help: "Whether the prompt begins a line, or stands in the middle of one.")
  var begin = true

  @Option(help: "Tokens to list; 0: all.")
  var count = 10

  @Option(help: "Tokens to write after the prompt.")
  var length = 20

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    guard count >= 0 else { throw ValidationError("--count is \(count); expected 0 or more") }
    guard length >= 0 else { throw ValidationError("--length is \(length); expected 0 or more") }
  }

  func run() throws {
    let model = try model.openForOneStream()
    let prompt = Prompt(prompt?.bytes ?? [], begin: begin)
    let all = try model.nextTokens(after: prompt)
    let next = count == 0 ? all[...] : all.prefix(count)
    let continuation = try model.writer(prompt: prompt, SamplingSettings(temperature: 0, seed: 0)).write(length)
    switch format {
    case .text:
      for token in next {
        Console.output(String(format: "%9.6f  ", token.probability) + quoted(token.text) + "\n")
      }
      if length > 0 { Console.output("\n".utf8 + prompt.text + continuation + "\n".utf8) }
    case .json:
      let (begins, continues) = (JSONBytes(prompt.text), JSONBytes(continuation))
      let report = Report(
        model: model.path, prompt: begins.text, promptBytes: begins.hexadecimal,
        next: next.map {
          let token = JSONBytes($0.text)
          return Report.Token(
            id: $0.id, token: token.text, tokenBytes: token.hexadecimal, logit: $0.logit, probability: $0.probability)
        }, continuation: continues.text, continuationBytes: continues.hexadecimal)
      Console.output(try jsonText(report, pretty: true) + "\n")
    }
  }

  private struct Report: Encodable {
    struct Token: Encodable {
      let id: Int32
      let token: String
      let tokenBytes: String?
      let logit: Float
      let probability: Double
    }

    let model: String
    let prompt: String
    let promptBytes: String?
    let next: [Token]
    let continuation: String
    let continuationBytes: String?
  }
}
