import Files
import Foundation
import TestSupport
import Testing

/// Texts as people have them: in pipes, packed, with odd names, with the wrong vocabulary, cut short under a run.
@Suite struct TextInputTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.write("text.txt", (0..<600).map { "line \($0 % 7) of the text\n" }.joined())
  }

  /// A shell's line, where `lockstep` and `lockstepd` are the programs.
  private func shell(_ script: String, environment: [String: String] = [:]) throws -> Outcome {
    let functions = ["lockstep", "lockstepd"].map { "\($0)() { \(Programs.folder)/\($0) \"$@\"; }; " }.joined()
    return try Programs.run(
      "bash", ["-c", functions + script], in: folder.path,
      environment: ["OMP_NUM_THREADS": "1"].merging(environment) { $1 })
  }

  private func refuse(_ script: String, saying parts: String..., at place: SourceLocation = #_sourceLocation) throws {
    let outcome = try shell(script)
    #expect(outcome.status != 0, "\(script): \(outcome.output)", sourceLocation: place)
    for part in parts { #expect(outcome.error.contains(part), "\(script): \(outcome.error)", sourceLocation: place) }
  }

  private func train(_ settings: String...) -> String {
    let small = ["corpus.sampleLines=0", "training.maximumSteps=3"] + settings
    return "lockstep train small.yaml " + small.map { "--set '\($0)'" }.joined(separator: " ")
  }

  private func names() throws -> Set<String> { Set(try FileSystem.list(folder.path)) }

  @Test func textsComeThroughPipes() throws {
    let expected = try shell("lockstep corpus prepare text.txt --output plain")
    #expect(expected.status == 0 && expected.output.contains("texts        1 file\n"), "\(expected.error)")
    let summary = expected.lines.dropFirst()  // which names the folder
    try FileSystem.createDirectory(folder.file("elsewhere"))
    let before = try names()
    for (number, (script, texts)) in [
      ("cat text.txt | lockstep corpus prepare - --output NEW", 1),
      ("lockstep corpus prepare - --output NEW < text.txt", 1),
      ("cat text.txt | lockstep corpus prepare /dev/stdin --output NEW", 1),
      ("lockstep corpus prepare /dev/stdin --output NEW < text.txt", 1),
      ("lockstep corpus prepare <(cat text.txt) --output NEW", 1),
      ("lockstep corpus prepare <(head -200 text.txt) <(tail -400 text.txt) --output NEW", 2),
      ("mkfifo pipe; cat text.txt > pipe & sleep 0.1; lockstep corpus prepare pipe --output NEW; rm pipe", 1),
      ("gzip -c text.txt | zcat | TMPDIR=elsewhere lockstep corpus prepare - --output NEW", 1),
    ].enumerated() {
      let outcome = try shell(script.replacing("NEW", with: "new-\(number)"))
      #expect(outcome.status == 0, "\(script): \(outcome.error)")
      let lines = outcome.lines.dropFirst()
      #expect(lines.dropFirst() == summary.dropFirst(), "\(script): \(outcome.output)")
      #expect(lines.first == "texts        \(texts) file\(texts == 1 ? "" : "s")")
      #expect(try names().subtracting(before) == Set((0...number).map { "new-\($0)" }))
      #expect(try FileSystem.list(folder.file("elsewhere")) == [])
    }
    // A wrong text leaves nothing either.
    try refuse(
      "printf 'a\\nb \\xff\\n' | lockstep corpus prepare - --output half", saying: "standard input, line 2, byte 4",
      "0xFF")
    #expect(try !names().contains { $0.hasPrefix("half") || $0.hasPrefix(".lockstep") })
    let vocabulary = try shell(
      "lockstep corpus prepare text.txt --vocabulary <(printf 'line\\nof\\nthe\\ntext\\n') --output fixed")
    #expect(vocabulary.status == 0 && vocabulary.output.contains("words, vocabulary 6"), "\(vocabulary.error)")

    // A run reads its text again when it resumes.
    _ = try folder.writeSmallConfiguration()
    try refuse(
      "cat text.txt | " + train("corpus.text=-"), saying: "corpus.text", "standard input", "corpus prepare -",
      "corpus.prepared")
    try refuse(train("corpus.text=/dev/stdin") + " < <(cat text.txt)", saying: "corpus.text", "a pipe or a device")
    try refuse(train("corpus.text=\"-\""), saying: "corpus.text", "standard input", "corpus.prepared")
    #expect(try shell(train("corpus.prepared=new-0")).status == 0)

    let plain = try shell("lockstep evaluate checkpoints/small text.txt")
    #expect(plain.status == 0, "\(plain.error)")
    for script in [
      "cat text.txt | lockstep evaluate checkpoints/small -", "lockstep evaluate checkpoints/small <(cat text.txt)",
    ] {
      let piped = try shell(script)
      #expect(piped.status == 0 && piped.output == plain.output, "\(script): \(piped.error)")
    }
  }

  @Test func packedTextsAreNamed() throws {
    _ = try folder.writeSmallConfiguration()
    #expect(try shell("gzip -k text.txt && tar -cf text.tar text.txt && \(train("corpus.text=text.txt"))").status == 0)
    let gzip = ["text.txt.gz: expected a text, found a gzip file", "gunzip -k text.txt.gz"]
    for kind in ["words", "characters", "bytes"] {
      let name = "name=\(kind)"
      try refuse(
        train(name, "corpus.text=text.txt.gz", "corpus.tokenizer=\(kind)"), saying: "found a gzip file", "gunzip -k")
      try refuse(
        train(name, "corpus.train=text.txt", "corpus.test=text.tar", "corpus.tokenizer=\(kind)"),
        saying: "text.tar: expected a text, found a tar archive",
        "tar -xf")
      try refuse(
        "lockstep corpus prepare text.txt.gz --tokenizer \(kind) --output tokens", saying: "found a gzip file",
        "gunzip -k")
    }
    try refuse("lockstep evaluate checkpoints/small text.txt.gz", saying: gzip[0], gzip[1])
    try refuse(
      "lockstep score checkpoints/small text.txt.gz", saying: gzip[0], gzip[1], "`zcat text.txt.gz | lockstep … -`")
    try refuse("lockstep generate checkpoints/small --prompts text.txt.gz", saying: gzip[0], "zcat text.txt.gz |")
    try refuse("lockstep corpus prepare text.txt --vocabulary text.txt.gz --output tokens", saying: "found a gzip file")
    try refuse(
      "lockstep score checkpoints/small - < text.txt.gz", saying: "standard input: expected a text, found a gzip file",
      "`zcat FILE | lockstep …`")
    try refuse(
      "lockstep corpus prepare - --output tokens < text.tar", saying: "standard input", "a tar archive",
      "tar -xOf FILE |")
    #expect(!FileSystem.exists(folder.file("tokens")))
  }

  @Test func namesNeedNotBeUTF8() throws {
    _ = try folder.writeSmallConfiguration()
    let outcome = try shell(
      """
      set -e; name=$'caf\\xe9'; mkdir $name; cp text.txt $name/$name.txt; cp text.txt $name/$name.txt~; mkdir $name/$name
      lockstep corpus prepare $name --output tokens
      lockstep corpus prepare $name/$name.txt --output $name.tokens; lockstep corpus inspect $name.tokens
      cp small.yaml $name.yaml; lockstep train $name.yaml --set training.maximumSteps=3 --set corpus.sampleLines=0 --set corpus.text=$name
      lockstep evaluate checkpoints/small $name/$name.txt; lockstep score checkpoints/small $name/$name.txt > /dev/null
      lockstep export checkpoints/small --output $name.h5; lockstep inspect $name.h5
      test -e $name.h5
      """)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(
      outcome.lines.count { $0 == "texts        1 file" } == 3 && outcome.output.contains("corpus   1 file of words"))
    // What is in the folder is told: by prepare, and by the run.
    #expect(outcome.error.contains("its 1 file is read") && outcome.output.contains("warning: "), "\(outcome.error)")
  }

  @Test func whatIsUnknownIsTold() throws {
    _ = try folder.writeSmallConfiguration()
    #expect(try shell("lockstep corpus prepare text.txt --output tokens").status == 0)
    // Our own vocabulary is read as what it is.
    let own = try shell(train("corpus.text=text.txt", "corpus.vocabulary=tokens/vocabulary.json"))
    #expect(own.status == 0 && own.output.contains("vocabulary 13;") && !own.output.contains("<unk>"), "\(own.output)")
    try folder.write("others.txt", "cats\ndogs\n")
    let others = try shell(train("name=others", "corpus.text=text.txt", "corpus.vocabulary=others.txt"))
    #expect(
      others.status == 0 && others.output.contains("warning: ")
        && others.output.contains("of the training part are <unk>, more than a third"))
    let prepare = try shell("lockstep corpus prepare text.txt --vocabulary others.txt --output others")
    #expect(prepare.status == 0 && prepare.error.contains("warning: ") && prepare.error.contains("test part are <unk>"))
    try folder.write("other-text.txt", "cats and dogs\n")
    let evaluate = try shell("lockstep evaluate checkpoints/small other-text.txt")
    #expect(
      evaluate.status == 0 && evaluate.error.contains("of the tokens of other-text.txt are <unk>, more than a third"))
    #expect(try shell("lockstep evaluate checkpoints/small text.txt").error == "")
    try folder.write("empty.txt", "\n")
    try refuse(
      train("corpus.text=text.txt", "corpus.vocabulary=empty.txt"), saying: "empty.txt", "expected words, found none")
    // A text too short to be parted.
    try folder.write("line.txt", String(repeating: "one line of many words ", count: 100) + "\n")
    let short = try shell(train("name=short", "corpus.text=line.txt"))
    #expect(short.status == 0 && short.output.contains("warning: the validation part has 0 tokens"), "\(short.output)")
    try folder.write("none.txt", "")
    try refuse(
      train("corpus.train=text.txt", "corpus.validation=none.txt"), saying: "corpus.validation", "found 0 in",
      "none.txt")
  }

  /// Says which file was cut short under a run, instead of a signal's number.
  @Test func tokenFilesCutShortAreNamed() throws {
    _ = try folder.writeSmallConfiguration()
    #expect(try shell("lockstep corpus prepare text.txt --output tokens").status == 0)
    let settings = set("corpus.sampleLines=0", "corpus.prepared=tokens", "output.reportSeconds=0.1") + endless
    let arguments = "small.yaml " + settings.joined(separator: " ")
    func cut(_ command: String) throws -> Outcome {
      try shell(
        """
        cp tokens/train-00000.tokens saved; \(command) > log 2> error &
        for i in $(seq 1 600); do grep -q 'step ' log && break; sleep 0.1; done
        truncate -s 0 tokens/train-00000.tokens; wait $!; status=$?; cp saved tokens/train-00000.tokens; cat error >&2; exit $status
        """, environment: Programs.mpirunEnvironment)
    }
    let alone = try cut("lockstep train \(arguments)")
    #expect(alone.status == 1, "\(alone)")
    #expect(
      alone.error.contains(
        "lockstep: error: tokens/train-00000.tokens: expected a file that does not change while it is read"),
      "\(alone.error)")
    let ranks = try cut(
      "mpirun \(Programs.mpirunOptions.joined(separator: " ")) -n 2 \(Programs.folder)/lockstepd run \(arguments) --set name=ranks"
    )
    #expect(ranks.status != 0 && ranks.error.contains("lockstepd: error on rank "), "\(ranks.error)")
    #expect(ranks.error.contains("tokens/train-00000.tokens: expected a file that does not change"), "\(ranks.error)")
  }
}
