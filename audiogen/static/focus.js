// Which keys are the page's, and which are the explorer's.

export const NO_JUMP = { preventScroll: true }

// Letters are commands in JupyterLab: "x" cuts the cell that has the focus. So an element with
// controls takes the focus when it is clicked anywhere; it bears the mark that keeps JupyterLab's
// shortcuts away from all that is in it; and no key leaves it.
export function keepKeys(box) {
  const claim = () => setTimeout(() => {
    if (box.isConnected && !box.contains(document.activeElement)) box.focus(NO_JUMP)
  })
  box.tabIndex = -1
  box.dataset.lmSuppressShortcuts = "true"
  for (const kind of ["pointerdown", "click"]) box.addEventListener(kind, claim, true)
  for (const kind of ["keydown", "keyup"]) {
    box.addEventListener(kind, event => event.stopPropagation())
  }
}
