// The last child of a box of ipywidgets, unseen: it keeps keys pressed in the box from JupyterLab.
import { keepKeys } from "./focus.js"

function guard({ el }) {
  el.hidden = true
  const find = () => {  // rendered first, then put into the box
    if (el.parentElement) keepKeys(el.parentElement)
    else requestAnimationFrame(find)
  }
  find()
}

export default { render: guard }
