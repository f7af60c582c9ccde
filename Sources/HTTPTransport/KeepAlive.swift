// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Glibc

/// TCP options by which a connection whose peer is gone without a word fails within 45 seconds: a server or a load
/// balancer that lost power, a NAT that forgot the connection. client-go needs as long with its HTTP/2 pings
/// (`ReadIdleTimeout` 30 s and `PingTimeout` 15 s: k8s.io/apimachinery/pkg/util/net/http.go).
///
/// - A connection without traffic, as that of a watch, is probed from 15 s of silence on, each 5 s; it fails after 30 to
///   35 s.
/// - Data that is not acknowledged for 30 s, as that of a request, fails the connection.
///
/// A proxy's kernel acknowledges both, whether the proxy still forwards anything or not: against that only a limit for
/// the silence of the server helps, ``HTTPRequest/Timeouts/idle``.
///
/// Source: tcp(7), `TCP_KEEPIDLE` to `TCP_KEEPCNT`, `TCP_USER_TIMEOUT`, which is also the limit for unanswered probes.
enum KeepAlive {
    static let idleSeconds: CInt = 15
    static let intervalSeconds: CInt = 5
    static let probes: CInt = 3
    static let userTimeoutMilliseconds: CInt = 30_000

    /// Sets what libcurl has no option for. A refusal leaves the system's defaults, which are longer.
    static func setOptions(of socket: curl_socket_t) {
        set(TCP_KEEPCNT, to: probes, of: socket)
        set(TCP_USER_TIMEOUT, to: userTimeoutMilliseconds, of: socket)
    }

    private static func set(_ option: CInt, to value: CInt, of socket: CInt) {
        var value = value
        // setsockopt(2) reads an int.
        unsafe _ = setsockopt(socket, CInt(IPPROTO_TCP), option, &value, socklen_t(MemoryLayout<CInt>.size))
    }
}
