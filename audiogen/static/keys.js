// The last child of a box of ipywidgets, unseen: it keeps keys pressed in the box from JupyterLab, where "x" cuts the cell.
// The box takes the focus when it is clicked anywhere, and bears the mark that keeps JupyterLab's shortcuts away (see explorer.js).

function render({ el }) {
  el.hidden = true
  const guard = () => {
    const box = el.parentElement
    if (!box) return requestAnimationFrame(guard)         // rendered first, then put into the box
    const claim = () => setTimeout(() => { if (!box.contains(document.activeElement)) box.focus({ preventScroll: true }) })
    box.tabIndex = -1
    box.dataset.lmSuppressShortcuts = "true"
    for (const kind of ["pointerdown", "click"]) box.addEventListener(kind, claim, true)
    for (const kind of ["keydown", "keyup"]) box.addEventListener(kind, event => event.stopPropagation())
  }
  guard()
}

export default { render }
