// How the search of the documentation orders its results. Sphinx copies this file into its search program.
// The questions and answers come first, then the guides. A decision record or the changelog mentions many words that
// another page explains, so these come last.
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    if (/^docs\/questions/.test(page)) return score * 4;
    if (/^docs\/(how-to|tutorial)\//.test(page)) return score * 2;
    if (/^(docs\/decisions\/|CHANGELOG)/.test(page)) return score / 10;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
