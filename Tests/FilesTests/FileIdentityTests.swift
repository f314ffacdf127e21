import Files
import Foundation
import TestSupport
import Testing

@Suite struct FileIdentityTests {
  @Test func linksLeadToOneFile() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("a/file", "x")
    try folder.write("a/other", "x")
    let files = FileManager.default
    try files.linkItem(atPath: file, toPath: folder.file("hard"))
    try files.createSymbolicLink(atPath: folder.file("soft"), withDestinationPath: "a/file")
    try files.createSymbolicLink(atPath: folder.file("b"), withDestinationPath: "a")
    let identity = try #require(FileIdentity(of: file))
    for name in ["hard", "soft", "b/file", "a/../a/file"] { #expect(FileIdentity(of: folder.file(name)) == identity) }
    #expect(FileIdentity(of: folder.file("a/other")) != identity)
    #expect(FileIdentity(of: folder.file("nowhere")) == nil && FileIdentity(of: "/dev/null") == nil)
    let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
    #expect(FileIdentity(descriptor: handle.fileDescriptor) == identity)
  }

  @Test func foldersContainWhatLiesBelow() throws {
    let folder = try TemporaryFolder()
    try folder.write("a/b/file", "x")
    try folder.write("c", "x")
    try FileManager.default.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: "a/b/file")
    let identity = try #require(FileIdentity(of: folder.file("a")))
    for name in ["a/b/file", "a/b", "link"] { #expect(identity.contains(folder.file(name)), "\(name)") }
    for name in ["c", "a", "nowhere"] { #expect(!identity.contains(folder.file(name)), "\(name)") }
  }
}
