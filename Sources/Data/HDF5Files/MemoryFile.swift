import CHDF5
import Files
import Synchronization

/// An HDF5 file in memory, and the one caller of the HDF5 library. Nothing here touches the disk.
struct MemoryFile: ~Copyable {
  /// How errors call the file.
  let name: String
  private let id: hid_t
  /// What the library reads, kept until it is done.
  private let image: MappedFile?

  /// Bytes in front of the HDF5 data, left to the caller: `H5Pset_userblock`.
  private static let userBlock = ContainerHeader.size
  /// Bytes by which memory grows; the file itself is not rounded up to them.
  private static let increment = 1 << 20

  /// An empty file to be built: `H5Fcreate` with the core driver.
  init(building name: String) throws {
    let check = Check(file: name)
    id = try locked {
      let access = try Self.coreDriver(check)
      // One version of the format, whatever the library's own: equal contents give equal bytes.
      try check(H5Pset_libver_bounds(access.id, H5F_LIBVER_V18, H5F_LIBVER_V18))
      let creation = try timeless(lockstep_h5_file_create(), check)
      try check(H5Pset_userblock(creation.id, hsize_t(Self.userBlock)))
      return try check(H5Fcreate(uniqueName(), lockstep_h5_truncate(), creation.id, access.id))
    }
    self.name = name
    image = nil
  }

  /// A file to be read where it lies, uncopied: `H5Fopen` with the core driver. The bytes must be what this
  /// program once wrote; the library does not survive all others.
  init(parsing file: MappedFile) throws {
    let check = Check(file: file.path)
    id = try locked {
      let access = try Self.coreDriver(check)
      let bytes = UnsafeMutableRawPointer(mutating: file.bytes.baseAddress)
      // Where the library would copy the bytes, these hand it the bytes themselves.
      var callbacks = H5FD_file_image_callbacks_t(
        image_malloc: { _, _, bytes in bytes },
        image_memcpy: { target, _, _, _, _ in target },
        image_realloc: { _, _, _, _ in nil },
        image_free: { _, _, _ in 0 },
        udata_copy: { bytes in bytes },
        udata_free: { _ in 0 },
        udata: bytes)
      try check(H5Pset_file_image_callbacks(access.id, &callbacks))
      try check(H5Pset_file_image(access.id, bytes, file.bytes.count))
      return try check(H5Fopen(uniqueName(), lockstep_h5_read_only(), access.id))
    }
    name = file.path
    image = file
  }

  deinit { locked { _ = H5Fclose(id) } }

  private static func coreDriver(_ check: Check) throws -> Handle {
    let access = Handle(try check(H5Pcreate(lockstep_h5_file_access())), H5Pclose)
    try check(H5Pset_fapl_core(access.id, increment, false))
    return access
  }

  /// Lends the file's bytes behind the user block as they are now, where they lie: `H5Fget_vfd_handle`.
  func withImage(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let check = Check(file: name)
    let image = try locked {
      try check(H5Fflush(id, H5F_SCOPE_GLOBAL))
      let size = try check(H5Fget_file_image(id, nil, 0))
      var memory: UnsafeMutableRawPointer?
      try check(H5Fget_vfd_handle(id, lockstep_h5_default(), &memory))
      let start = memory?.load(as: UnsafeRawPointer?.self)
      return UnsafeRawBufferPointer(start: start.map { $0 + Self.userBlock }, count: size)
    }
    try body(image)
  }

  // MARK: Groups

  enum Object { case group, dataset }

  /// What is at `path`, nil if nothing is: `H5Lexists`, part by part as it demands.
  func object(at path: String) throws -> Object? {
    try locked {
      let check = Check(file: name, location: path)
      var found = Object.group
      for prefix in pathPrefixes(path) {
        guard found == .group, try check(H5Lexists(id, prefix, lockstep_h5_default())) > 0 else { return nil }
        let object = Handle(try check(H5Oopen(id, prefix, lockstep_h5_default())), H5Oclose)
        found = try check(H5Iget_type(object.id).rawValue) == H5I_GROUP.rawValue ? .group : .dataset
      }
      return found
    }
  }

  /// Makes a group and those above it that are missing: `H5Gcreate2`.
  func makeGroup(_ path: String) throws {
    try locked {
      let check = Check(file: name, location: path)
      // One by one: groups that the library makes on its way would carry the time.
      for prefix in pathPrefixes(path) where try check(H5Lexists(id, prefix, lockstep_h5_default())) == 0 {
        let naming = try utf8Names(lockstep_h5_link_create(), check)
        let creation = try timeless(lockstep_h5_group_create(), check)
        let group = try check(H5Gcreate2(id, prefix, naming.id, creation.id, lockstep_h5_default()))
        try check(H5Gclose(group))
      }
    }
  }

  /// The names in a group that is there, sorted by their bytes: `H5Lget_name_by_idx`.
  func names(in path: String) throws -> [String] {
    try locked {
      let check = Check(file: name, location: path)
      let group = Handle(try check(H5Gopen2(id, path, lockstep_h5_default())), H5Gclose)
      var info = H5G_info_t()
      try check(H5Gget_info(group.id, &info))
      func copyName(_ index: hsize_t, _ buffer: UnsafeMutableBufferPointer<CChar>?) throws -> Int {
        try check(
          H5Lget_name_by_idx(
            id, path, H5_INDEX_NAME, H5_ITER_INC, index, buffer?.baseAddress, buffer?.count ?? 0,
            lockstep_h5_default()))
      }
      return try (0..<info.nlinks).map { index in
        let size = try copyName(index, nil) + 1  // and the NUL
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) {
          _ = try copyName(index, $0)
          return String(cString: $0.baseAddress!)
        }
      }
    }
  }

  // MARK: Datasets and attributes

  /// Makes a dataset (in a group that is there) or an attribute (of an object that is there) and fills it:
  /// `H5Dcreate2` and `H5Dwrite`, `H5Acreate_by_name` and `H5Awrite`.
  func write(_ layout: Layout, from bytes: UnsafeRawPointer?, to place: Place) throws {
    try locked {
      let check = Check(file: name, location: place.description)
      let type = try makeType(layout.type, check)
      let sizes = layout.shape.map { hsize_t($0) }
      let space = Handle(
        try check(
          sizes.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(sizes.count), sizes, nil)),
        H5Sclose)
      let none = lockstep_h5_default()
      switch place {
      case .dataset(let path):
        let naming = try utf8Names(lockstep_h5_link_create(), check)
        let creation = try timeless(lockstep_h5_dataset_create(), check)
        let dataset = Handle(
          try check(H5Dcreate2(id, path, type.id, space.id, naming.id, creation.id, none)), H5Dclose)
        try check(
          H5Dwrite(dataset.id, type.id, lockstep_h5_whole_space(), lockstep_h5_whole_space(), none, bytes))
        try check(dataset.close())
      case .attribute(let name, let path):
        let naming = try utf8Names(lockstep_h5_attribute_create(), check)
        let attribute = Handle(
          try check(H5Acreate_by_name(id, path, name, type.id, space.id, naming.id, none, none)), H5Aclose)
        try check(H5Awrite(attribute.id, type.id, bytes))
        try check(attribute.close())
      }
    }
  }

  /// Type and shape of a dataset or an attribute that is there; nil for an attribute that is not.
  func layout(of place: Place) throws -> Layout? {
    try locked {
      let check = Check(file: name, location: place.description)
      let type: Handle
      let space: Handle
      switch place {
      case .dataset:
        let dataset = try open(place, check)
        type = Handle(try check(H5Dget_type(dataset.id)), H5Tclose)
        space = Handle(try check(H5Dget_space(dataset.id)), H5Sclose)
      case .attribute(let name, let path):
        guard try check(H5Aexists_by_name(id, path, name, lockstep_h5_default())) > 0 else { return nil }
        let attribute = try open(place, check)
        type = Handle(try check(H5Aget_type(attribute.id)), H5Tclose)
        space = Handle(try check(H5Aget_space(attribute.id)), H5Sclose)
      }
      var sizes = [hsize_t](repeating: 0, count: Int(try check(H5Sget_simple_extent_ndims(space.id))))
      try check(H5Sget_simple_extent_dims(space.id, &sizes, nil))
      return Layout(type: try describe(type.id, check), shape: sizes.map { Int(clamping: $0) })
    }
  }

  /// Copies a dataset or an attribute of this type, all of it, into memory: `H5Dread`, `H5Aread`.
  func read(_ place: Place, as type: StoredType, into bytes: UnsafeMutableRawPointer?) throws {
    try locked {
      let check = Check(file: name, location: place.description)
      let type = try makeType(type, check)
      let source = try open(place, check)
      switch place {
      case .dataset:
        try check(
          H5Dread(
            source.id, type.id, lockstep_h5_whole_space(), lockstep_h5_whole_space(), lockstep_h5_default(), bytes))
      case .attribute:
        try check(H5Aread(source.id, type.id, bytes))
      }
    }
  }

  private func open(_ place: Place, _ check: Check) throws -> Handle {
    switch place {
    case .dataset(let path):
      Handle(try check(H5Dopen2(id, path, lockstep_h5_default())), H5Dclose)
    case .attribute(let name, let path):
      Handle(try check(H5Aopen_by_name(id, path, name, lockstep_h5_default(), lockstep_h5_default())), H5Aclose)
    }
  }
}

// MARK: - The library

/// The HDF5 library is not thread-safe: every call is made under this lock.
private let library = Mutex(())

/// Runs `body` while no other thread uses the library, and keeps the library from printing its errors
/// (where it is built for threads, that is a setting of each one).
private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
  var result: Result?
  try library.withLock { _ in
    H5Eset_auto2(lockstep_h5_default_errors(), nil, nil)
    result = try body()
  }
  return result!
}

/// The one place where the library's return codes are looked at: a negative one throws what the library's
/// error stack says (`H5Ewalk2`).
private struct Check {
  let file: String
  var location: String?

  @discardableResult
  func callAsFunction<Code: SignedInteger>(_ code: Code) throws -> Code {
    if code >= 0 { return code }
    var reasons: [String] = []
    withUnsafeMutablePointer(to: &reasons) { pointer in
      _ = H5Ewalk2(
        lockstep_h5_default_errors(), H5E_WALK_DOWNWARD,
        { _, entry, pointer in
          guard let text = entry?.pointee.desc else { return 0 }
          pointer?.assumingMemoryBound(to: [String].self).pointee.append(String(cString: text))
          return 0
        }, pointer)
    }
    // The first says what was asked for, the last what is wrong; between them the library's own levels.
    let problem = "\(reasons.first ?? "no reason given"): \(reasons.last ?? "no reason given")"
    throw HDF5Error(
      reason: .library, file: file, location: location, problem: "the HDF5 library refused: \(problem)")
  }
}

/// An identifier of the library, closed with its scope by the function for its type. Only under the lock.
private struct Handle: ~Copyable {
  let id: hid_t
  private let closing: @convention(c) (hid_t) -> herr_t

  init(_ id: hid_t, _ closing: @escaping @convention(c) (hid_t) -> herr_t) {
    self.id = id
    self.closing = closing
  }

  deinit { _ = closing(id) }

  /// Closes now, for a caller to whom the result matters.
  consuming func close() -> herr_t {
    let (id, closing) = (id, closing)
    discard self
    return closing(id)
  }
}

/// A name for a file in memory: the library takes two files of one name for the same file.
private func uniqueName() -> String {
  "lockstep-\(filesOpened.wrappingAdd(1, ordering: .relaxed).newValue)"
}
private let filesOpened = Atomic(0)

/// "/a", "/a/b" and "/a/b/c" for "/a/b/c"; nothing for "/". Traps for a path that does not begin at the root.
private func pathPrefixes(_ path: String) -> [String] {
  precondition(path.hasPrefix("/"), "paths inside a file begin with a slash")
  return path.split(separator: "/").reduce(into: []) { $0.append("\($0.last ?? "")/\($1)") }
}

/// Properties of a file, group or dataset to be made: no times, so that equal contents give equal bytes.
private func timeless(_ propertyClass: hid_t, _ check: Check) throws -> Handle {
  let properties = Handle(try check(H5Pcreate(propertyClass)), H5Pclose)
  try check(H5Pset_obj_track_times(properties.id, false))
  return properties
}

/// Properties of a link or attribute to be made: its name is UTF-8.
private func utf8Names(_ propertyClass: hid_t, _ check: Check) throws -> Handle {
  let properties = Handle(try check(H5Pcreate(propertyClass)), H5Pclose)
  try check(H5Pset_char_encoding(properties.id, H5T_CSET_UTF8))
  return properties
}

/// The library's own types, of this machine's byte order, copied; half precision it has none for.
private func makeType(_ element: HDF5ElementType, _ check: Check) throws -> Handle {
  func copy(_ type: hid_t) throws -> Handle { Handle(try check(H5Tcopy(type)), H5Tclose) }
  switch element {
  case .float16:
    let half = try copy(lockstep_h5_float32())
    try check(H5Tset_fields(half.id, 15, 10, 5, 0, 10))  // sign at bit 15, 5 bits of exponent from 10, 10 of fraction
    try check(H5Tset_ebias(half.id, 15))
    try check(H5Tset_precision(half.id, 16))
    try check(H5Tset_size(half.id, 2))
    return half
  case .float32: return try copy(lockstep_h5_float32())
  case .float64: return try copy(lockstep_h5_float64())
  case .int64: return try copy(lockstep_h5_int64())
  case .uint8: return try copy(lockstep_h5_uint8())
  }
}

private func makeType(_ type: StoredType, _ check: Check) throws -> Handle {
  switch type {
  case .element(let element):
    return try makeType(element, check)
  case .text(let byteCount):
    let text = Handle(try check(H5Tcopy(lockstep_h5_text())), H5Tclose)
    try check(H5Tset_size(text.id, byteCount + 1))
    try check(H5Tset_cset(text.id, H5T_CSET_UTF8))
    return text
  case .other(let name):
    preconditionFailure("\(name) is neither written nor read")
  }
}

private func describe(_ type: hid_t, _ check: Check) throws -> StoredType {
  for element in HDF5ElementType.allCases {
    let own = try makeType(element, check)
    if try check(H5Tequal(type, own.id)) > 0 { return .element(element) }
  }
  let size = H5Tget_size(type)
  switch H5Tget_class(type) {
  case H5T_STRING where try check(H5Tis_variable_str(type)) > 0: return .other("text of variable length")
  case H5T_STRING: return .text(byteCount: size - 1)
  case H5T_FLOAT: return .other("\(8 * size)-bit floats")
  case H5T_INTEGER: return .other("\(8 * size)-bit integers")
  default: return .other("elements of \(size) bytes that are not numbers")
  }
}
