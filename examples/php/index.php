<?php
// A PHP app that knows nothing of maintenance: nginx asks `maint serve` before each request
// (docs/endpoint.md). php -S 127.0.0.1:3000 index.php, or php-fpm.

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$orders = sys_get_temp_dir() . '/orders-of-the-example.json';
$known = is_file($orders) ? json_decode(file_get_contents($orders), true) : [];

if ($path === '/orders' && $_SERVER['REQUEST_METHOD'] === 'POST') {
    $known[] = json_decode(file_get_contents('php://input'), true);
    file_put_contents($orders, json_encode($known), LOCK_EX);
    http_response_code(201);
    header('Content-Type: application/json');
    echo json_encode(['number' => count($known)]);
} elseif ($path === '/orders') {
    header('Content-Type: application/json');
    echo json_encode($known);
} else {
    header('Content-Type: text/plain');
    echo "The shop is open.\n";
}
