import Events

/// The same three-tier check as a Redis script, as well as we can write one.
///
/// It does less than RESERVE: windows that the caller names, a fixed minute instead of a sliding one,
/// one price, no models, no log. It reads and writes each account once, because a call from Lua is
/// what costs; the hold is a hash of its own that Redis forgets by itself.
struct BenchLua {
    private static let script = """
        -- KEYS: key, team, org, hold. ARGV: nano-dollars, day, month, seconds.
        if redis.call('EXISTS', KEYS[4]) == 1 then return redis.status_reply('ALLOW') end
        local asked, day, month = tonumber(ARGV[1]), ARGV[2], ARGV[3]
        local minute = tostring(math.floor(redis.call('TIME')[1] / 60))
        local new = {}
        for i = 1, 3 do
          local a = redis.call('HMGET', KEYS[i], 'day.limit', 'month.limit', 'minute.limit',
            'open.limit', 'day.at', 'day', 'month.at', 'month', 'minute.at', 'minute', 'open')
          local d = (a[5] == day and tonumber(a[6]) or 0) + asked
          local m = (a[7] == month and tonumber(a[8]) or 0) + asked
          local r = (a[9] == minute and tonumber(a[10]) or 0) + 1
          local o = (tonumber(a[11]) or 0) + 1
          if d > tonumber(a[1]) then return redis.status_reply('DENY usd.day ' .. KEYS[i]) end
          if m > tonumber(a[2]) then return redis.status_reply('DENY usd.month ' .. KEYS[i]) end
          if r > tonumber(a[3]) then return redis.status_reply('DENY minute ' .. KEYS[i]) end
          if o > tonumber(a[4]) then return redis.status_reply('DENY open ' .. KEYS[i]) end
          new[i] = {d, m, r, o}
        end
        for i = 1, 3 do
          local n = new[i]
          redis.call('HSET', KEYS[i], 'day.at', day, 'day', n[1], 'month.at', month, 'month', n[2],
            'minute.at', minute, 'minute', n[3], 'open', n[4])
        end
        redis.call('HSET', KEYS[4], 'key', KEYS[1], 'team', KEYS[2], 'org', KEYS[3], 'usd', asked)
        redis.call('EXPIRE', KEYS[4], ARGV[4])
        return redis.status_reply('ALLOW')
        """
    private static let accounts = ["bench/ml/prod", "bench/ml", "bench"]

    /// The EVALSHA that places one hold, for redis-benchmark.
    let words: [String]

    init(_ socket: String) throws(CommandFailure) {
        let client = try Client(.unix(socket))
        let reply = try client.call(["SCRIPT", "LOAD", Self.script]).orFailure()
        guard let sha = reply.text else {
            throw CommandFailure(.protocolBroken, "Redis takes no script")
        }
        for account in Self.accounts {
            _ = try client.call([
                "HSET", account, "day.limit", "9000000000000000", "month.limit",
                "9000000000000000", "minute.limit", "1000000000000", "open.limit", "1000000000000",
            ]).orFailure()
        }
        words =
            ["EVALSHA", sha, "4"] + Self.accounts
            + ["hold:__rand_int__", "19200000", "2026-11-22", "2026-11", "600"]
        let answer = try client.call(words).orFailure().text
        guard answer == "ALLOW" else {
            throw CommandFailure(.protocolBroken, "the script answers \(answer ?? "nothing")")
        }
    }
}
