// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Glibc

/// TCP options with which a connection fails within 45 seconds when its peer disappears without closing it: a server or
/// a load balancer that lost power, a NAT that dropped the connection. client-go takes as long with its HTTP/2 pings
/// (`ReadIdleTimeout` 30 s and `PingTimeout` 15 s: k8s.io/apimachinery/pkg/util/net/http.go).
///
/// - A connection without traffic, such as a watch's, is probed after 15 s of silence and then every 5 s; it fails
///   after 30 to 35 s.
/// - A connection on which sent data is not acknowledged for 30 s, such as a request's, fails.
///
/// The kernel of a proxy acknowledges both even when the proxy forwards nothing any more. Only a limit on the server's
/// silence notices that: ``HTTPRequest/Timeouts/idle``.
///
/// Source: tcp(7), `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT` and `TCP_USER_TIMEOUT`, which also limits
/// unacknowledged probes.
enum KeepAlive {
    static let idleSeconds: CInt = 15
    static let intervalSeconds: CInt = 5
    static let probes: CInt = 3
    static let userTimeoutMilliseconds: CInt = 30_000

    /// Sets the options that libcurl cannot set. On failure the system's defaults remain, which are longer.
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
