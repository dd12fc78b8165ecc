<?php
// WordPress runs this file with each request while it is there. These bytes never change,
// since PHP's opcache may keep the first ones that it saw; what may change is in the data.
$upgrading = call_user_func(static function ($answer, $data) {
    $now = microtime(true) * 1e6; // Every time here is in microseconds since 1970.
    $text = @file_get_contents($data);
    $down = is_string($text) ? json_decode($text, true) : null;
    $is_time = static function ($time) {
        return is_int($time) || is_float($time);
    };
    $lists = array('networks', 'proxies', 'paths', 'tokens');
    $is_known = is_array($down)
        && isset($down['version']) && $down['version'] === 1
        && array_key_exists('end', $down) && ($down['end'] === null || $is_time($down['end']));
    foreach ($lists as $list) {
        $is_known = $is_known && isset($down[$list]) && is_array($down[$list]);
    }
    if ($is_known && $down['end'] !== null && $now >= $down['end']) {
        return null;
    }
    // What a person runs in a shell goes on; the jobs of cron wait.
    if (PHP_SAPI === 'cli' && !defined('DOING_CRON')) {
        return null;
    }
    // WordPress asks in wp_maintenance(), before it does anything, and then again at the end
    // of each request, when the app may have answered already.
    $callers = array();
    foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS) as $frame) {
        $callers[] = $frame['function'];
    }
    if (!in_array('wp_maintenance', $callers, true)) {
        return time();
    }
    if (PHP_SAPI === 'cli') {
        exit(75); // EX_TEMPFAIL
    }
    if (!$is_known) {
        error_log('maint: ' . $data . ' cannot be used, so everybody gets a plain page');
        $answer(null, $now);
    }

    $server = static function ($name) {
        return isset($_SERVER[$name]) && is_string($_SERVER[$name]) ? $_SERVER[$name] : '';
    };
    // A rule or token whose expiry is no time is over.
    $is_live = static function ($entry) use ($is_time, $now) {
        return is_array($entry) && array_key_exists('expires_at', $entry)
            && ($entry['expires_at'] === null || ($is_time($entry['expires_at']) && $now < $entry['expires_at']));
    };
    // What was let in for who asks belongs into no shared cache.
    $let_in = static function () {
        header_register_callback(static function () {
            foreach (headers_list() as $line) {
                $name = strtolower(strtok($line, ':'));
                $overrides = array('expires', 'pragma', 'surrogate-control', 'edge-control', 'x-accel-expires');
                if (in_array($name, $overrides, true) || substr($name, -14) === '-cache-control') {
                    header_remove($name);
                }
            }
            header('cache-control: private, no-store');
        });
        return null;
    };

    list($path, $query) = explode('?', $server('REQUEST_URI'), 2) + array('', '');
    // Others may read such a path as another one.
    $is_plain = preg_match('~\A/[!-\~]*\z~', $path) && !preg_match('~[%#\x5c;]|//|/\.~', $path);

    $token = static function ($given) use ($down, $is_live) {
        $digest = hash('sha256', $given);
        $found = null;
        foreach ($down['tokens'] as $token) {
            $known = is_array($token) && isset($token['sha256']) && is_string($token['sha256']) ? $token['sha256'] : '';
            if (hash_equals($known, $digest) && $is_live($token)) {
                $found = $token;
            }
        }
        return $found;
    };

    // A link with a token leads to the same place without it, and leaves a cookie.
    $method = $server('REQUEST_METHOD');
    $kept = array();
    $bearer = null;
    foreach ($query === '' || !$down['tokens'] ? array() : explode('&', $query) as $parameter) {
        if (strncmp($parameter, 'maint_bypass=', 13) !== 0) {
            if (preg_match('~\A[!-\~]+\z~', $parameter)) {
                $kept[] = $parameter;
            }
        } elseif ($bearer === null) {
            $secret = substr($parameter, 13);
            $bearer = $token($secret);
        }
    }
    if ($bearer !== null && ($method === 'GET' || $method === 'HEAD')) {
        $is_https = $server('HTTPS') !== '' && strtolower($server('HTTPS')) !== 'off';
        $is_local = preg_match('~\A(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d*)?\z~i', $server('HTTP_HOST'));
        $is_secure = $is_https || !$is_local;
        $age = $bearer['expires_at'] === null
            ? '' : '; Max-Age=' . (int) max(1, floor(($bearer['expires_at'] - $now) / 1e6));
        http_response_code(303);
        header('location: ' . ($is_plain ? $path : '/') . ($kept ? '?' . implode('&', $kept) : ''));
        header('set-cookie: ' . ($is_secure ? '__Host-' : '') . 'maint_bypass=' . $secret
            . '; Path=/; HttpOnly; SameSite=Lax' . ($is_secure ? '; Secure' : '') . $age);
        header('cache-control: no-store');
        header('referrer-policy: no-referrer');
        exit;
    }

    // A server that rewrites puts the path elsewhere, where a client can put one, too.
    if ($is_plain && $server('HTTP_X_ORIGINAL_URL') === '' && $server('HTTP_X_REWRITE_URL') === '') {
        foreach ($down['paths'] as $rule) {
            if (!$is_live($rule)) {
                continue;
            }
            $is_meant = isset($rule['exact']) && $rule['exact'] === $path;
            if (isset($rule['below']) && is_string($rule['below'])) {
                $is_meant = $path === $rule['below']
                    || strncmp($path, $rule['below'] . '/', strlen($rule['below']) + 1) === 0;
            } elseif (isset($rule['pcre']) && is_string($rule['pcre'])) {
                $is_meant = @preg_match('~\A(?:' . $rule['pcre'] . ')\z~', $path) === 1;
            }
            if ($is_meant) {
                return null;
            }
        }
    }

    // An address as its bytes; IPv4 in IPv6 as IPv4.
    $bytes = static function ($text) {
        $bytes = is_string($text) ? @inet_pton($text) : false;
        $is_mapped = is_string($bytes) && strlen($bytes) === 16
            && substr($bytes, 0, 12) === "\0\0\0\0\0\0\0\0\0\0\xff\xff";
        return $is_mapped ? substr($bytes, 12) : $bytes;
    };
    $client = $bytes($server('REMOTE_ADDR'));
    $is_within = static function ($network) use ($bytes, $client) {
        $address = is_array($network) && isset($network['address']) ? $bytes($network['address']) : false;
        $prefix = is_array($network) && isset($network['prefix']) ? $network['prefix'] : null;
        if (!is_string($client) || !is_string($address) || strlen($client) !== strlen($address)) {
            return false;
        }
        if (!is_int($prefix) || $prefix < 0 || $prefix > 8 * strlen($address)) {
            return false;
        }
        $whole = $prefix >> 3;
        if (substr($client, 0, $whole) !== substr($address, 0, $whole)) {
            return false;
        }
        $mask = (0xff << (8 - ($prefix & 7))) & 0xff;
        return $mask === 0 || (ord($client[$whole]) & $mask) === (ord($address[$whole]) & $mask);
    };
    // Behind a proxy nobody knows here who asks.
    $is_client = true;
    foreach ($down['proxies'] as $proxy) {
        $is_client = $is_client && !$is_within($proxy);
    }
    foreach ($is_client ? $down['networks'] : array() as $network) {
        if ($is_live($network) && $is_within($network)) {
            return $let_in();
        }
    }

    // As a gate reads cookies: nothing is decoded, and eight values are tried.
    $tried = 0;
    foreach ($down['tokens'] ? explode(';', $server('HTTP_COOKIE')) : array() as $pair) {
        $pair = explode('=', trim($pair, " \t"), 2);
        $is_ours = $pair[0] === '__Host-maint_bypass' || $pair[0] === 'maint_bypass';
        if (!$is_ours || !isset($pair[1]) || $tried === 8) {
            continue;
        }
        $tried += 1;
        if ($token($pair[1]) !== null) {
            return $let_in();
        }
    }

    $answer($down, $now);
}, $maint_answer, '@DATA@');
