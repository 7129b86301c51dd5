"""The layout of a page, checked by script: nothing overlaps, is cut off or reaches out of the window."""

from playwright.sync_api import Page

_FIND_FAULTS = """() => {
    const width = document.documentElement.clientWidth, found = new Set()
    const named = element => {
        const kind = element.getAttribute("class")
        return `${element.tagName.toLowerCase()}${kind ? "." + kind : ""} "${element.textContent.trim().slice(0, 30)}"`
    }
    if (document.documentElement.scrollWidth > width) found.add("the page scrolls sideways")
    const isShown = element => {
        for (let at = element; at; at = at.parentElement)
            if (getComputedStyle(at).clipPath !== "none") return false  // only for screen readers
        return element.checkVisibility({visibilityProperty: true}) && !element.closest(".skip")
    }
    // text in a place that is scrolled, such as a diff, may be wider than the place
    const isScrolled = element => {
        for (let at = element; at; at = at.parentElement)
            if (["auto", "scroll"].includes(getComputedStyle(at).overflowX)) return true
        return false
    }
    const texts = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
        const node = walker.currentNode, element = node.parentElement
        const isText = node.data.trim() && !/^(title|desc|script|style|option)$/i.test(element.tagName)
        if (!isText || !isShown(element)) continue
        const range = document.createRange()
        range.selectNodeContents(node)
        for (const box of range.getClientRects()) {
            if (box.width < 1 || box.height < 1) continue
            texts.push({box, element})
            if ((box.right > width + 1 || box.left < -1) && !isScrolled(element))
                found.add(`${named(element)} reaches out of the window`)
        }
        for (let at = element; at && at !== document.body; at = at.parentElement) {
            const style = getComputedStyle(at)
            const cuts = ["hidden", "clip"].includes(style.overflowX) && at.scrollWidth > at.clientWidth + 1
            if (cuts && at.clientWidth > 2) found.add(`${named(at)} is cut off`)
        }
    }
    texts.sort((one, other) => one.box.top - other.box.top)
    texts.forEach((one, place) => {
        for (const other of texts.slice(place + 1)) {
            if (other.box.top >= one.box.bottom - 3) break
            const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left)
            const down = Math.min(one.box.bottom, other.box.bottom) - other.box.top
            if (across > 2 && down > 3 && one.element !== other.element && !isScrolled(one.element))
                found.add(`${named(one.element)} overlaps ${named(other.element)}`)
        }
    })
    return [...found]
}"""

_FIND_CONTROLS = """() => {
    const controls = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")
    const shown = element => element.checkVisibility({visibilityProperty: true}) && !element.disabled
    // of radio buttons with one name, only one is reached by Tab
    return [...controls].filter(shown).filter(one => one.type !== "radio" && one.tabIndex >= 0).map((one, place) => {
        one.dataset.place = place
        return one.outerHTML.slice(0, 100)
    })
}"""

_READ_FOCUS = """() => {
    const at = document.activeElement, style = getComputedStyle(at)
    const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    return [at.dataset.place ?? "", isMarked || at.type === "date"]  // the browser marks the parts of a date
}"""


def layout_faults(page: Page) -> list[str]:
    """Return the texts of *page* that overlap others, are cut off or reach out of the window, in words."""
    return page.evaluate(_FIND_FAULTS)


def keyboard_faults(page: Page) -> list[str]:
    """Return the controls of *page* that Tab does not reach, and those without a visible focus, in words."""
    controls = page.evaluate(_FIND_CONTROLS)
    reached, hidden = set(), []
    for _ in range(2 * len(controls)):  # Tab also stops at places that are scrolled
        if len(reached) == len(controls):
            break
        page.keyboard.press("Tab")
        place, is_visible = page.evaluate(_READ_FOCUS)
        if place:
            reached.add(int(place))
            hidden += [] if is_visible else [f"{controls[int(place)]} has no visible focus"]
    return [f"{text} is not reached" for place, text in enumerate(controls) if place not in reached] + hidden
