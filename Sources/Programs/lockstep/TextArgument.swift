import ArgumentParser
import Files

/// A text on the command line, byte for byte: what a model of bytes reads need not be UTF-8.
struct TextArgument: ExpressibleByArgument {
  let bytes: [UInt8]

  init(argument: String) { bytes = FileName.bytes(of: argument).dropLast().map(UInt8.init(bitPattern:)) }
}
