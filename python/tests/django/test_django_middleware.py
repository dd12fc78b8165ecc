"""The middleware: who is blocked, by WSGI and by ASGI."""


def test_the_app_answers_while_the_site_is_up(visit, queries):
    response = visit("/")
    assert (response.status_code, response.content) == (200, b"the shop")
    assert queries == []


def test_the_next_request_is_blocked(visit, site, queries):
    site.on(reason="Back at noon")
    response = visit("/")
    assert response.status_code == 503
    assert b"Back at noon" in response.content
    site.off()
    assert visit("/").status_code == 200
