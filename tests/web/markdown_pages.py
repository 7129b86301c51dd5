"""Convert the Markdown of a pull request to a page, as git hosts do: tables, folded parts and Mermaid graphs."""

import html
import re

from markdown_it import MarkdownIt

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 820px; margin: 24px auto; color: #1f2328; padding: 0 16px }
table { border-collapse: collapse; display: block; overflow: auto }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px }
h2 { border-bottom: 1px solid #d1d9e0 } code { background: #818b981f; padding: .2em .4em; border-radius: 6px }
pre { background: #f6f8fa; padding: 16px; border-radius: 6px; overflow: auto } pre code { background: none; padding: 0 }
pre.mermaid { background: none; text-align: center; padding: 0 } a { color: #0969da }
details { margin: 8px 0 } summary { cursor: pointer }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3 } a { color: #4493f8 }
  th, td { border-color: #3d444d } h2 { border-color: #3d444d } pre { background: #151b23 }
}
"""
DRAW = """
const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default";
mermaid.initialize({startOnLoad: false, securityLevel: "strict", theme});
window.drawn = mermaid.run({querySelector: "pre.mermaid"}).then(() => "drawn", error => "failed: " + error.message);
"""


def as_page(markdown: str) -> str:
    """Return a page with *markdown*, whose graphs `/mermaid.js` draws. Its promise `drawn` ends when they are drawn."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    body = re.sub(
        r'<pre><code class="language-mermaid">(.*?)</code></pre>', r'<pre class="mermaid">\1</pre>',
        reader.render(markdown), flags=re.DOTALL,
    )  # fmt: skip
    title = html.escape("Pull request")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f'<main>{body}</main><script src="/mermaid.js"></script><script>{DRAW}</script></html>'
    )
