// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// One request and its response, between the tasks that wait for it and the loop's thread that carries it out.
///
/// The loop's thread puts in what arrives; tasks take it out, the head first, then the body. Every wait is ended once:
/// by what it waits for or by ``complete(_:)``.
final class Transfer: Sendable {
    /// Status and headers.
    struct Head: Sendable {
        var status: Int
        var headers: HTTPHeaders
    }

    private struct State {
        var head: Head?
        var chunks: [[UInt8]] = []
        var bufferedBytes = 0
        /// The loop's thread was told to wait until the reader has caught up.
        var isPaused = false
        var idleTimeout: Duration?
        var end: Result<Void, HTTPError>?
        var headWaiter: CheckedContinuation<Result<Head, HTTPError>, Never>?
        var chunkWaiter: CheckedContinuation<Result<[UInt8]?, HTTPError>, Never>?
    }

    let request: HTTPRequest
    private let loop: TransferLoop
    private let state: Mutex<State>

    init(request: HTTPRequest, loop: TransferLoop) {
        self.request = request
        self.loop = loop
        self.state = Mutex(State(idleTimeout: request.timeouts.idle))
    }

    /// How long the server may be silent: as the request says, unless it was changed.
    var idleTimeout: Duration? {
        get { state.withLock { $0.idleTimeout } }
        set { state.withLock { $0.idleTimeout = newValue } }
    }

    /// Whether ``complete(_:)`` was called.
    var hasEnded: Bool {
        state.withLock { $0.end != nil }
    }

    /// Gives up what is not over yet.
    func cancel() {
        if !hasEnded { loop.send(.cancel(self)) }
    }

    private var headless: HTTPError {
        HTTPError(code: .transport, message: "\(request): the response has no head")
    }
}

// MARK: For tasks

extension Transfer {
    /// Starts the transfer and waits for its head.
    func start() async throws(HTTPError) -> Head {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let end = state.withLock { state in
                    if state.end == nil { state.headWaiter = continuation }
                    return state.end
                }
                if let end {
                    continuation.resume(returning: end.flatMap { .failure(self.headless) })
                } else {
                    loop.send(.start(self))
                }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }

    /// The next bytes of the body, nil at its end.
    func nextChunk() async throws(HTTPError) -> [UInt8]? {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (chunk, resumes) = state.withLock { state in
                    let chunk = Self.takeChunk(&state)
                    if chunk == nil { state.chunkWaiter = continuation }
                    let resumes = state.isPaused && state.bufferedBytes == 0
                    if resumes { state.isPaused = false }
                    return (chunk, resumes)
                }
                if resumes { loop.send(.resume(self)) }
                if let chunk { continuation.resume(returning: chunk) }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }

    private static func takeChunk(_ state: inout State) -> Result<[UInt8]?, HTTPError>? {
        if !state.chunks.isEmpty {
            let chunk = state.chunks.removeFirst()
            state.bufferedBytes -= chunk.count
            return .success(chunk)
        }
        return state.end.map { end in end.map { nil } }
    }
}

// MARK: For the loop's thread

extension Transfer {
    /// The head is complete.
    func receive(_ head: Head) {
        let waiter = state.withLock { state in
            state.head = head
            defer { state.headWaiter = nil }
            return state.headWaiter
        }
        waiter?.resume(returning: .success(head))
    }

    /// What becomes of bytes that have arrived.
    enum Reception: Sendable {
        case taken
        /// Nobody reads: to be offered again after a resume.
        case paused
        /// Nobody reads, and this transfer cannot be paused.
        case overflown
    }

    /// More of the body.
    func receive(_ chunk: [UInt8]) -> Reception {
        let (reception, waiter): (Reception, CheckedContinuation<Result<[UInt8]?, HTTPError>, Never>?) =
            state.withLock { state in
                if let waiter = state.chunkWaiter {
                    state.chunkWaiter = nil
                    return (.taken, waiter)
                }
                switch request.delivery {
                case .streamed where state.bufferedBytes >= HTTPBody.highWaterMark:
                    state.isPaused = true
                    return (.paused, nil)
                case .buffered where state.bufferedBytes >= HTTPBody.bufferLimit:
                    return (.overflown, nil)
                case .streamed, .buffered:
                    state.chunks.append(chunk)
                    state.bufferedBytes += chunk.count
                    return (.taken, nil)
                }
            }
        waiter?.resume(returning: .success(chunk))
        return reception
    }

    /// Whether the reader has to catch up before more is received.
    var isPaused: Bool {
        state.withLock { $0.isPaused }
    }

    /// Nothing follows. Only the first end counts.
    func complete(_ end: Result<Void, HTTPError>) {
        let (headWaiter, chunkWaiter) = state.withLock { state in
            if state.end == nil { state.end = end }
            defer {
                state.headWaiter = nil
                state.chunkWaiter = nil
            }
            return (state.headWaiter, state.chunkWaiter)
        }
        headWaiter?.resume(returning: end.flatMap { .failure(headless) })
        chunkWaiter?.resume(returning: end.map { nil })
    }
}
