/// Of both programs; part of every checkpoint.
public let programVersion = "0.1.0"
