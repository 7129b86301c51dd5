// How the search of the documentation orders its results. Sphinx copies this file into its search program.
// A decision record or the changelog mentions many words that another page explains.
var Scorer = {
  score: ([page, title, anchor, description, score]) =>
    /^(docs\/decisions\/|CHANGELOG)/.test(page) ? score / 10 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
