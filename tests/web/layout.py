"""Checks of the layout of a page by scripts in the browser: texts that overlap, are cut off or leave the window."""

from playwright.sync_api import Page

_FIND_FAULTS = """() => {
    const width = document.documentElement.clientWidth, found = new Set()
    const named = element => {
        const kind = element.getAttribute("class")
        return `${element.tagName.toLowerCase()}${kind ? "." + kind : ""} "${element.textContent.trim().slice(0, 30)}"`
    }
    if (document.documentElement.scrollWidth > width) found.add("the page scrolls sideways")
    // what an element has from those around it is asked once
    const remembered = ask => {
        const known = new Map()
        return element => known.get(element) ?? known.set(element, ask(element)).get(element)
    }
    const isHidden = remembered(element =>  // for screen readers only
        element ? getComputedStyle(element).clipPath !== "none" || isHidden(element.parentElement) : false)
    const isShown = remembered(element =>
        element.checkVisibility({visibilityProperty: true}) && !element.closest(".skip") && !isHidden(element))
    // text in a place that is scrolled, such as a diff, may be wider than the place
    const isScrolled = remembered(element => element ?
        ["auto", "scroll"].includes(getComputedStyle(element).overflowX) || isScrolled(element.parentElement) : false)
    const checkCut = remembered(element => {
        const cuts = ["hidden", "clip"].includes(getComputedStyle(element).overflowX)
        if (cuts && element.clientWidth > 2 && element.scrollWidth > element.clientWidth + 1)
            found.add(`${named(element)} is cut off`)
        if (element !== document.body) checkCut(element.parentElement)
        return true
    })
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
        checkCut(element)
    }
    texts.sort((one, other) => one.box.top - other.box.top)
    texts.forEach((one, place) => {
        for (let next = place + 1; next < texts.length && texts[next].box.top < one.box.bottom - 3; next++) {
            const other = texts[next]
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
    """Return descriptions of texts on *page* that overlap others, are cut off or reach out of the window."""
    return page.evaluate(_FIND_FAULTS)


def keyboard_faults(page: Page) -> list[str]:
    """Return descriptions of the controls on *page* that Tab does not reach or that have no visible focus."""
    controls = page.evaluate(_FIND_CONTROLS)
    reached, hidden = set(), []
    # twice, because Tab also stops at areas that can be scrolled, which are not controls
    for _ in range(2 * len(controls)):
        if len(reached) == len(controls):
            break
        page.keyboard.press("Tab")
        place, is_visible = page.evaluate(_READ_FOCUS)
        if place:
            reached.add(int(place))
            hidden += [] if is_visible else [f"{controls[int(place)]} has no visible focus"]
    return [f"{text} is not reached" for place, text in enumerate(controls) if place not in reached] + hidden
