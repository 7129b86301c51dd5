"""SVG drawings of plain values: line chart, sparkline, swim lanes, lineage graph. Pure: no I/O, no JavaScript.

Each drawing has a title and a description in words, for screen readers. All parts have the colour of the surrounding
text, so different kinds of parts have different shapes or words. A style sheet can select the parts by their classes.
"""
