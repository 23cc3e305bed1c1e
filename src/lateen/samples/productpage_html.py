"""How the product page looks. Nothing on it is fetched from elsewhere, so that it shows in a mesh that lets nothing out.

Scripts of Istio's tasks search the page's text; what they look for is kept: the title, the star glyphs' class and
colour, "Reviews served by:", and the error sentences. A page without stars must not contain the word of their class.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

__all__ = ["Page", "front", "index"]

_STYLE = (Path(__file__).parent / "bookinfo.css").read_text(encoding="utf-8")
_OUTLINE = "M12 1.8l3.1 6.6 7.1.9-5.2 5 1.3 7.1-6.3-3.5-6.3 3.5 1.3-7.1-5.2-5 7.1-.9z"
_COLUMNS = (("ISBN-10", "ISBN-10"), ("Publisher", "publisher"), ("Pages", "pages"), ("Type", "type"), ("Language", "language"))


class Page(NamedTuple):
    user: str
    product: Mapping[str, object]
    details_status: int
    details: Mapping[str, object]
    reviews_status: int
    reviews: Mapping[str, object]


def front(page: Page) -> str:
    """The page of one book."""
    product = f'<h1>{escape(str(page.product["title"]))}</h1><p class="summary">{page.product["descriptionHtml"]}</p>'
    return _document(_account(page.user), product + _details(page) + _reviews(page))


def index(backends: Mapping[str, str]) -> str:
    """The way in: one link for each kind of user, and the services behind the page."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td><code>{escape(url)}</code></td></tr>" for name, url in backends.items())
    return _document(
        "",
        '<h1>Hello! This is a simple bookstore application</h1><p class="summary">It consists of four services: this page, '
        "and the three below.</p>"
        f'<section class="card"><table><tr><th>Service</th><th>Address</th></tr>{rows}</table></section>'
        '<a class="button" href="/productpage?u=normal">Normal user</a> <a class="button" href="/productpage?u=test">Test user</a>',
    )


def _document(account: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Simple Bookstore App</title>\n'
        f'<link rel="icon" href="data:,">\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<header><div class="row">'
        f'<a class="brand" href="/productpage">BookInfo Sample</a>{account}</div></header>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _account(user: str) -> str:
    if user:
        name = escape(user)
        return (
            f'<div class="user"><span class="avatar" aria-hidden="true">{escape(user[0])}</span>'
            f'<span class="name" data-user="{name}">{name}</span><a class="out" href="/logout">Sign out</a></div>'
        )
    return (
        '<form class="sign" method="post" action="/login" name="login_form">'
        '<input name="username" placeholder="User name" aria-label="User name" autocomplete="username" required>'
        '<input name="passwd" type="password" placeholder="Password" aria-label="Password" autocomplete="current-password">'
        '<button type="submit">Sign in</button></form>'
    )


def _failure(what: str, answer: Mapping[str, object]) -> str:
    return f'<section class="card failed"><h2>Error fetching product {what}!</h2><p>{escape(str(answer.get("error", "")))}</p></section>\n'


def _details(page: Page) -> str:
    if page.details_status != 200:
        return _failure("details", page.details)
    heads = "".join(f'<th scope="col">{label}</th>' for label, _ in _COLUMNS)
    cells = "".join(f"<td>{escape(str(page.details.get(key, '')))}</td>" for _, key in _COLUMNS)
    return f'<section class="card"><h2>Book Details</h2><table><tr>{heads}</tr><tr>{cells}</tr></table></section>\n'


def _reviews(page: Page) -> str:
    listed = page.reviews.get("reviews")
    if page.reviews_status != 200 or not isinstance(listed, list):
        return _failure("reviews", page.reviews)
    shown = "".join(_review(each) for each in listed if isinstance(each, dict))
    cluster = str(page.reviews.get("clustername", "null"))
    where = f" on cluster <code>{escape(cluster)}</code>" if cluster != "null" else ""
    podname = escape(str(page.reviews.get("podname", "")))
    served = f'<p class="served">Reviews served by: <code data-podname="{podname}">{podname}</code>{where}</p>'
    return f'<section class="card"><h2>Book Reviews</h2><div class="reviews">{shown}</div>{served}</section>\n'


def _review(review: Mapping[str, object]) -> str:
    text, reviewer = escape(str(review.get("text", ""))), escape(str(review.get("reviewer", "")))
    return (
        f'<article class="review">{_rating(review.get("rating"))}<blockquote>{text}</blockquote>'
        f'<span class="reviewer">{reviewer}</span></article>'
    )


def _rating(rating: object) -> str:
    if not isinstance(rating, dict):
        return ""
    if "error" in rating:
        return f'<p class="no-rating" data-rating-error="true">{escape(str(rating["error"]))}</p>'
    stars = rating.get("stars")
    count = min(max(stars, 0), 5) if isinstance(stars, int) else 0
    color = escape(str(rating.get("color", "black")))
    glyphs = _glyph("glyphicon-star", "currentColor") * count + _glyph("glyphicon-star-empty", "none") * (5 - count)
    return (
        f'<div class="row-of-glyphs text-{color}-500" data-stars="{count}" data-color="{color}" role="img" '
        f'aria-label="{count} of 5 stars"><font color="{color}">{glyphs}</font></div>'
    )


def _glyph(name: str, fill: str) -> str:
    return (
        f'<span class="glyphicon {name}"><svg viewBox="0 0 24 24" fill="{fill}" stroke="currentColor" stroke-width="1.4" '
        f'stroke-linejoin="round" aria-hidden="true"><path d="{_OUTLINE}"/></svg></span>'
    )
