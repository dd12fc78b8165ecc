<?php
// Laravel's `public/index.php` runs this file first, before it loads `vendor/`, so the page
// is there while that is being replaced. It may stay while the app is up.
call_user_func(static function ($answer, $flag) {
    if (!file_exists($flag)) {
        return;
    }
    $text = @file_get_contents($flag);
    // The app has come back in this very moment.
    clearstatcache();
    if ($text === false && !file_exists($flag)) {
        return;
    }
    $data = is_string($text) ? json_decode($text, true) : null;
    if (is_array($data) && !isset($data['maint'])) {
        // Somebody else's, as of `php artisan down`: the framework answers.
        return;
    }
    $now = microtime(true) * 1e6; // In microseconds since 1970.
    $down = is_array($data) && is_array($data['maint']) ? $data['maint'] : null;
    $is_known = $down !== null && isset($down['version']) && $down['version'] === 1;
    if (!$is_known) {
        error_log('maint: ' . $flag . ' cannot be used, so everybody gets a plain page');
        $answer(null, $now);
    }
    if (isset($data['template'], $down['pages']['html']) && is_array($down['pages']['html'])) {
        $down['pages']['html']['body'] = $data['template'];
    }
    $server = static function ($name) {
        return isset($_SERVER[$name]) && is_string($_SERVER[$name]) ? $_SERVER[$name] : '';
    };
    $is_read = in_array($server('REQUEST_METHOD'), array('GET', 'HEAD'), true);
    // Browsers name HTML when a person goes somewhere; scripts and programs want an answer.
    $is_person = stripos($server('HTTP_ACCEPT'), 'text/html') !== false
        && in_array($server('HTTP_SEC_FETCH_MODE'), array('', 'navigate'), true)
        && $server('HTTP_X_REQUESTED_WITH') === '';
    if (isset($data['redirect']) && is_string($data['redirect']) && $is_read && $is_person) {
        $url = parse_url($data['redirect']);
        $port = isset($url['port']) ? ':' . $url['port'] : '';
        $is_here = !isset($url['host']) || strcasecmp($url['host'] . $port, $server('HTTP_HOST')) === 0;
        $path = isset($url['path']) ? $url['path'] : '/';
        list($asked) = explode('?', $server('REQUEST_URI'), 2);
        if (!$is_here || $asked !== $path) {
            http_response_code(302);
            header('location: ' . $data['redirect']);
            header('cache-control: no-store');
            header('maint-decision: block');
            exit;
        }
    }
    $answer($down, $now);
}, $maint_answer, __DIR__ . '/down');
