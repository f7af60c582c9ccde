// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import Glibc
import Testing

@Suite struct SocketFileTests {
    @Test(arguments: [
        ("/run/csi.sock", "/run/csi.sock"), ("unix:///run/csi.sock", "/run/csi.sock"), ("unix:csi.sock", "csi.sock"),
        ("unix:/run/csi.sock", "/run/csi.sock"),
    ])
    func `an address of a Unix domain socket has a path`(address: String, path: String) {
        #expect(SocketFile.path(of: address) == path)
    }

    @Test(arguments: ["run/csi.sock", "tcp://127.0.0.1:5000", "dns:host:1", "unix://run/csi.sock", "unix:", ""])
    func `any other address has no path`(address: String) {
        #expect(SocketFile.path(of: address) == nil)
    }

    @Test func `a listening socket has no problem`() async throws {
        try await withServer(echo) { _, path in
            #expect(SocketFile(path: path).state == .permitted)
            #expect(SocketFile(path: path).problem == nil)
        }
    }

    @Test func `any other file than a socket is named`() throws {
        #expect(SocketFile(path: "/tmp").problem == "/tmp is a directory, not a socket")
        #expect(SocketFile(path: "/dev/null").problem == "/dev/null is a device or a pipe, not a socket")
        #expect(SocketFile(path: "/etc/passwd").problem == "/etc/passwd is a regular file, not a socket")
        #expect(SocketFile(path: "/tmp/no-such.sock").problem == "no socket at /tmp/no-such.sock yet")
        #expect(
            SocketFile(path: "/dev/null/csi.sock").problem
                == "cannot look at /dev/null/csi.sock: Not a directory; this process is uid \(geteuid())"
        )
    }

    @Test func `the problem of a forbidden socket has its mode, its owner and this process's user`() {
        let file = SocketFile(
            path: "/csi/csi.sock",
            state: .forbidden(mode: 0o50, owner: .init(user: 0, group: 7)),
            process: .init(user: 65532, group: 65533)
        )
        #expect(
            file.problem == """
                permission denied: the socket /csi/csi.sock has mode 0050 and owner 0:7, this process is uid 65532, gid \
                65533: run it as uid 0, or have the driver give the socket to a group that both are in
                """
        )
    }

    /// connect(2) needs write permission, which root has on every file.
    @Test(.enabled(if: geteuid() != 0)) func `a socket without write permission is forbidden`() async throws {
        try await withServer(echo) { _, path in
            #expect(unsafe chmod(path, 0o500) == 0)
            let owner = SocketFile.Owner(user: geteuid(), group: getegid())
            #expect(SocketFile(path: path).state == .forbidden(mode: 0o500, owner: owner))
        }
    }
}
