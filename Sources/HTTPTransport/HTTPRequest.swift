// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A request, its body in memory.
package struct HTTPRequest: Sendable, CustomStringConvertible {
    /// How long things may take; nil: for ever.
    package struct Timeouts: Sendable, Hashable {
        /// Until the connection stands, TLS included.
        package var connect: Duration
        /// Without a byte from the server. Time in which nobody reads the body does not count.
        package var idle: Duration?
        /// From the beginning to the last byte of the body.
        package var total: Duration?

        /// Limits for a transfer.
        package init(connect: Duration = .seconds(10), idle: Duration? = nil, total: Duration? = nil) {
            self.connect = connect
            self.idle = idle
            self.total = total
        }
    }

    /// When a response is there.
    package enum Delivery: Sendable, Hashable {
        /// When its body is complete and in memory, up to 256 MiB; more fails with BodyTooLarge.
        case buffered
        /// When its head is. The server waits for whoever reads the body.
        case streamed
    }

    /// `GET`, `POST`, ...
    package var method: String
    /// An absolute URL, `http` or `https`.
    package var url: String
    /// Fields to send beside those that HTTP itself needs.
    package var headers: HTTPHeaders
    /// nil sends none.
    package var body: [UInt8]?
    /// When the response is there.
    package var delivery: Delivery
    /// How long things may take.
    package var timeouts: Timeouts

    /// A request.
    package init(
        method: String = "GET",
        url: String,
        headers: HTTPHeaders = [:],
        body: [UInt8]? = nil,
        delivery: Delivery = .buffered,
        timeouts: Timeouts = Timeouts()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.delivery = delivery
        self.timeouts = timeouts
    }

    /// Method and location, and nothing that may be secret: no query, no user, no header, no body.
    package var description: String { "\(method) \(location)" }

    /// The URL without user and query.
    var location: String {
        URLAuthority.withoutUserInfo(String(url.prefix { $0 != "?" && $0 != "#" }))
    }
}
