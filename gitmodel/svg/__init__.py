"""SVG drawings from plain values: line chart, bars, sparkline, swim lanes, lineage graph. Pure, without script.

A drawing has a title and a description in words. Shapes and words distinguish kinds, and the colour is that of the
surrounding text. A style sheet selects the parts by their classes.
"""
