// swift-tools-version: 6.1

import PackageDescription

// pkg-config names differ between systems (RHEL says `hdf5` where Debian says `hdf5-serial`);
// launch/setup finds the right ones and launch/* export them.
let mpiPackage = Context.environment["LOCKSTEP_MPI_PKGCONFIG"] ?? "ompi-c"
let hdf5Package = Context.environment["LOCKSTEP_HDF5_PKGCONFIG"] ?? "hdf5-serial"

// Loops over floats run hundreds of times slower without optimisation: debug builds keep it here.
let optimizedInDebug: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

// The programs carry the Swift run-time in themselves, so that one file runs where no Swift is installed. Said
// here and not with --static-swift-stdlib, because tests cannot be built so (there is no static Testing) and one
// build is to serve both.
let staticSwift: [LinkerSetting] = [
  .unsafeFlags(["-static-stdlib"])
]

let package = Package(
  name: "Lockstep",
  products: [
    .executable(name: "lockstepd", targets: ["lockstepd"]),
    .executable(name: "lockstep", targets: ["lockstep"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    // C libraries: a module map and a shim header each.
    .systemLibrary(name: "CMPI", pkgConfig: mpiPackage, providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: hdf5Package, providers: [.apt(["libhdf5-dev"])]),
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),

    // From the floor up; imports point downward only.
    .target(name: "Files", dependencies: [.product(name: "Crypto", package: "swift-crypto")]),
    .target(name: "Kernels", dependencies: ["COneDNN"], swiftSettings: optimizedInDebug),
    .target(name: "Corpus", dependencies: ["Files"], swiftSettings: optimizedInDebug),
    .target(name: "Model", dependencies: ["Kernels"], swiftSettings: optimizedInDebug),
    .target(
      name: "Training",
      dependencies: ["Model", "Corpus", .product(name: "Yams", package: "Yams")],
      swiftSettings: optimizedInDebug),
    .target(name: "HDF5Files", dependencies: ["Files", "CHDF5"]),
    .target(name: "Checkpoints", dependencies: ["Training", "HDF5Files"]),
    .target(name: "Runs", dependencies: ["Checkpoints"]),
    .target(
      name: "ProgramOptions",
      dependencies: ["Runs", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .target(name: "MPI", dependencies: ["CMPI"]),
    .target(name: "Daemon", dependencies: ["Runs", "MPI"]),

    // The two programs.
    .executableTarget(
      name: "lockstepd",
      dependencies: ["Daemon", "ProgramOptions"],
      linkerSettings: staticSwift),
    .executableTarget(
      name: "lockstep",
      dependencies: ["ProgramOptions"],
      linkerSettings: staticSwift),

    .testTarget(name: "CorpusTests", dependencies: ["Corpus"]),
    .testTarget(name: "HDF5FilesTests", dependencies: ["HDF5Files"]),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels"]),
    .testTarget(name: "ModelTests", dependencies: ["Model"]),
    .testTarget(name: "TrainingTests", dependencies: ["Training"]),
  ],
  swiftLanguageModes: [.v6]
)
