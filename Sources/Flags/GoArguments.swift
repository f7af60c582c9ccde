// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Arguments in the syntax of Go's `flag` package, in which existing manifests are written.
///
/// `-x` and `--x` are the same flag. A value follows after `=` or is the next argument, even if that begins with `-`. A
/// boolean flag takes a value only after `=`, and is true without one. The first argument that is not a flag, and `--`,
/// end the flags. https://pkg.go.dev/flag#hdr-Command_line_flag_syntax
package enum GoArguments {
    /// Returns the same flags in the unambiguous form `--name=value`.
    ///
    /// A last flag without its value and unknown flags are kept as they are: ArgumentParser reports those errors.
    ///
    /// - Parameter booleans: the names of the flags that need no value.
    /// - Throws: ``UsageError`` for an argument that is not a flag. Go's package leaves such arguments to the program.
    package static func normalized(_ arguments: [String], booleans: Set<String>) throws(UsageError) -> [String] {
        var normalized: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                if let stray = rest.first { throw UsageError(message: "unexpected argument \"\(stray)\"") }
                break
            }
            guard argument.hasPrefix("-"), argument != "-" else {
                throw UsageError(message: "unexpected argument \"\(argument)\"")
            }
            let flag = argument.dropFirst(argument.hasPrefix("--") ? 2 : 1)
            let name = flag.prefix { $0 != "=" }
            guard !name.isEmpty, !name.hasPrefix("-") else {
                throw UsageError(message: "invalid flag \"\(argument)\": write --name=value")
            }
            if name == "h" || name == "help" {
                normalized.append("--help")
            } else if name.endIndex < flag.endIndex {
                normalized += Self.flag(name, value: flag[name.endIndex...].dropFirst())
            } else if booleans.contains(String(name)) {
                normalized += Self.flag(name, value: "true")
            } else if let value = rest.popFirst() {
                normalized += Self.flag(name, value: value[...])
            } else {
                normalized.append("--\(name)")
            }
        }
        return normalized
    }

    /// ArgumentParser takes `--name=` as a flag without its value, and an empty argument as an empty value.
    private static func flag(_ name: Substring, value: Substring) -> [String] {
        value.isEmpty ? ["--\(name)", ""] : ["--\(name)=\(value)"]
    }
}

/// Invalid arguments.
package struct UsageError: Error, Equatable, CustomStringConvertible {
    /// The flag, why it is invalid, and what to write instead, in one line.
    package var message: String

    package init(message: String) {
        self.message = message
    }

    package var description: String { message }
}
