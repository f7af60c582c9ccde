// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import Testing

@testable import KubernetesClient

@Suite struct TLSReloadTests {
    private let first = TLSConfiguration(certificateAuthorities: [1])
    private let second = TLSConfiguration(certificateAuthorities: [2])

    @Test func `files are read again after a minute`() {
        var reload = TLSReload(first, now: .seconds(10))
        #expect(!reload.isDue(now: .seconds(69)))
        #expect(reload.isDue(now: .seconds(70)))
        #expect(reload.read(first, now: .seconds(70)) == .unchanged)
        #expect(!reload.isDue(now: .seconds(129)))
        #expect(reload.generation == 0)
    }

    @Test func `files are read at most once a second, however many requests are rejected`() {
        var reload = TLSReload(first, now: .zero)
        let times: [Duration] = [.zero, .milliseconds(999), .seconds(1)]
        #expect(times.map { reload.rejected(now: $0) } == [true, false, true])
    }

    @Test func `a change starts a new generation`() {
        var reload = TLSReload(first, now: .zero)
        #expect(reload.read(second, now: .seconds(60)) == .changed)
        #expect(reload.configuration == second)
        #expect(reload.generation == 1)
        #expect(reload.read(second, now: .seconds(120)) == .unchanged)
        #expect(reload.generation == 1)
    }

    @Test func `an incomplete file of authorities is used when it has not changed for a minute`() {
        let begin = Array("-----BEGIN CERTIFICATE-----\nZ2Fy".utf8)
        let incomplete = TLSConfiguration(certificateAuthorities: begin)
        let longer = TLSConfiguration(certificateAuthorities: begin + begin)
        var reload = TLSReload(first, now: .zero)
        #expect(reload.read(incomplete, now: .seconds(60)) == .failed(isNew: true))
        // A rejected request may have it read sooner.
        #expect(reload.read(incomplete, now: .seconds(119)) == .failed(isNew: false))
        #expect(reload.read(longer, now: .seconds(120)) == .failed(isNew: false))
        #expect(reload.read(longer, now: .seconds(179)) == .failed(isNew: false))
        #expect(reload.configuration == first)
        #expect(reload.read(longer, now: .seconds(180)) == .changed)
        #expect(reload.read(longer, now: .seconds(240)) == .unchanged)
        // As at the start, it stays in use.
        var other = TLSReload(incomplete, now: .zero)
        #expect(other.read(incomplete, now: .seconds(60)) == .unchanged)
    }

    @Test func `unusable files leave the last configuration in use, and are new once`() {
        var reload = TLSReload(first, now: .zero)
        #expect(reload.read(nil, now: .seconds(60)) == .failed(isNew: true))
        #expect(reload.read(nil, now: .seconds(120)) == .failed(isNew: false))
        #expect(reload.configuration == first)
        #expect(!reload.isDue(now: .seconds(179)))
        #expect(reload.read(first, now: .seconds(180)) == .unchanged)
        #expect(reload.read(nil, now: .seconds(240)) == .failed(isNew: true))
    }
}
