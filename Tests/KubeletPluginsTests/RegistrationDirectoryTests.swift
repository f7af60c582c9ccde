// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubeletPlugins

@Suite struct RegistrationDirectoryTests {
    private let files = FileManager.default

    @Test func `only sockets count, and links are not followed`() async throws {
        try await withKubeletRoot { directories in
            let registry = directories.pluginsRegistry
            try files.createDirectory(atPath: registry + "/sub/.hidden", withIntermediateDirectories: true)
            try StaleSocket.create(at: registry + "/b.sock")
            try StaleSocket.create(at: registry + "/sub/a without suffix")
            try StaleSocket.create(at: registry + "/.dot.sock")
            try StaleSocket.create(at: registry + "/sub/.hidden/c.sock")
            try StaleSocket.create(at: directories.root + "/outside.sock")
            try Data().write(to: URL(filePath: registry + "/file.sock"))
            try files.createSymbolicLink(
                atPath: registry + "/link.sock",
                withDestinationPath: directories.root + "/outside.sock"
            )
            try files.createSymbolicLink(atPath: registry + "/loop", withDestinationPath: registry)
            let scan = RegistrationDirectory(path: registry).scan()
            #expect(scan.sockets.map(\.path) == [registry + "/b.sock", registry + "/sub/a without suffix"])
            #expect(scan.failures.isEmpty)
            #expect(!scan.isTruncated)
            #expect(RegistrationDirectory(path: registry).scan() == scan)
        }
    }

    @Test func `a socket that was created again is another one`() async throws {
        try await withKubeletRoot { directories in
            let path = directories.pluginsRegistry + "/a.sock"
            try StaleSocket.create(at: path)
            let first = try #require(RegistrationDirectory(path: directories.pluginsRegistry).scan().sockets.first)
            // Both exist for a moment, so that they cannot have the same inode.
            try StaleSocket.create(at: path + ".new")
            try files.removeItem(atPath: path)
            try files.moveItem(atPath: path + ".new", toPath: path)
            let second = try #require(RegistrationDirectory(path: directories.pluginsRegistry).scan().sockets.first)
            #expect(first.path == second.path)
            #expect(first != second)
            #expect(SocketIdentity(path: path) == second.file)
            #expect(SocketIdentity(path: directories.pluginsRegistry) == nil)
            #expect(SocketIdentity(path: path + ".new") == nil)
        }
    }

    @Test func `a path that is no directory is a failure`() async throws {
        try await withKubeletRoot { directories in
            let path = directories.root + "/file"
            try Data().write(to: URL(filePath: path))
            let scan = RegistrationDirectory(path: path).scan()
            #expect(scan.failures == [.init(directory: path, reason: "Not a directory")])
            #expect(scan.sockets.isEmpty)
        }
    }

    @Test func `depth and number are bounded`() async throws {
        try await withKubeletRoot { directories in
            let registry = directories.pluginsRegistry
            let levels = (0..<RegistrationDirectory.maximumDepth).map { _ in "/d" }.joined()
            try files.createDirectory(atPath: registry + levels + "/d", withIntermediateDirectories: true)
            try StaleSocket.create(at: registry + levels + "/deepest")
            try StaleSocket.create(at: registry + levels + "/d/deeper")
            let deep = RegistrationDirectory(path: registry).scan()
            #expect(deep.sockets.map(\.path) == [registry + levels + "/deepest"])
            #expect(deep.isTruncated)
            try files.removeItem(atPath: registry + "/d")
            for number in 0...RegistrationDirectory.maximumSockets {
                try StaleSocket.create(at: registry + "/\(1000 + number)")
            }
            let many = RegistrationDirectory(path: registry).scan()
            #expect(many.sockets.count == RegistrationDirectory.maximumSockets)
            #expect(many.sockets.first?.path == registry + "/1000")
            #expect(many.isTruncated)
        }
    }
}
