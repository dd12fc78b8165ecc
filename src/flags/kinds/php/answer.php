<?php
// Sends the page of the maintenance that DOWN describes, as maint's own gate does, and ends
// the request. Anything in DOWN that maint would not write is left out: the answer is a
// 503 with a few words in any case. Written in the PHP of 5.6 and all later versions.
$maint_answer = static function ($down, $now) {
    $server = static function ($name) {
        return isset($_SERVER[$name]) && is_string($_SERVER[$name]) ? $_SERVER[$name] : '';
    };
    $of = static function ($from, $name) {
        return is_array($from) && isset($from[$name]) ? $from[$name] : null;
    };

    // A type that is named goes before a wildcard, then the heavier, then the earlier.
    $usual = $of($down, 'usual');
    $format = $usual === 'json' || $usual === 'txt' ? $usual : 'html';
    $heaviest = 0.0;
    foreach (explode(',', $server('HTTP_ACCEPT')) as $range) {
        $parts = array_map('trim', explode(';', strtolower($range)));
        $weight = 1.0;
        foreach (array_slice($parts, 1) as $parameter) {
            if (strncmp($parameter, 'q=', 2) === 0) {
                $weight = (float) substr($parameter, 2);
            }
        }
        $named = null;
        if ($parts[0] === 'text/html' || $parts[0] === 'application/xhtml+xml') {
            $named = 'html';
        } elseif (preg_match('~\A(?:(?:application|text)/json|application/.*\+json)\z~', $parts[0])) {
            $named = 'json';
        } elseif ($parts[0] === 'text/plain') {
            $named = 'txt';
        }
        if ($named !== null && $weight > $heaviest) {
            $heaviest = $weight;
            $format = $named;
        }
    }

    $page = $of($of($down, 'pages'), $format);
    $body = $of($page, 'body');
    $fields = $of($page, 'headers');
    if (!is_string($body) || !is_array($fields)) {
        $body = "Down for maintenance\n\nWe are working on it, and will be back soon.\n";
        $fields = array(
            'cache-control' => 'no-store',
            'content-type' => 'text/plain; charset=utf-8',
            'maint-decision' => 'block',
        );
    }

    $method = $server('REQUEST_METHOD');
    $is_read = $method === 'GET' || $method === 'HEAD';
    $status = $of($down, 'status');
    // No client may take the page for success, and lose what it sent.
    if (!is_int($status) || ($status !== 200 && ($status < 400 || $status > 599)) || ($status < 400 && !$is_read)) {
        $status = 503;
    }
    $end = $of($down, 'promised_end');
    $estimate = $of($down, 'estimate');
    if ((is_int($estimate) || is_float($estimate)) && $now < $estimate) {
        $end = $estimate;
    }
    $wait = $of($down, 'retry_after');
    if (is_int($end) || is_float($end)) {
        $wait = (int) min(604800, max(1, ceil(($end - $now) / 1e6)));
    } elseif (!is_int($wait) || $wait < 1) {
        $wait = 60;
    }

    // A script of the app may have sent its own fields before it came here.
    if (!headers_sent()) {
        http_response_code($status);
        foreach ($fields as $name => $value) {
            if (is_string($value)) {
                header($name . ': ' . $value);
            }
        }
        header('retry-after: ' . $wait);
        header_remove('expires');
    }
    if ($method !== 'HEAD') {
        echo $body;
    }
    exit;
};
