// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Testing

/// Limits are short where they must be reached and ample where they must not be.
struct HTTPTimeoutTests {
    @Test func theTotalTimeoutEndsATransfer() async throws {
        try await withPlainServer { _ in
            await forever()
            return TestHTTPResponse()
        } _: { client, url in
            let error = await #expect(throws: HTTPError.self) {
                try await client.execute(HTTPRequest(url: url, timeouts: .init(total: .milliseconds(50))))
            }
            #expect(error?.code == .timeout)
        }
    }

    @Test func theIdleTimeoutEndsASilentTransfer() async throws {
        try await withPlainServer { _ in
            TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    await forever()
                }
            )
        } _: { client, url in
            let timeouts = HTTPRequest.Timeouts(idle: .milliseconds(200), total: .seconds(60))
            let request = HTTPRequest(url: url, delivery: .streamed, timeouts: timeouts)
            let error = await #expect(throws: HTTPError.self) {
                for try await _ in try await client.execute(request).body {}
            }
            #expect(error?.code == .timeout)
            #expect(error?.message.contains("nothing received for 0.2 seconds") == true)
        }
    }
}
