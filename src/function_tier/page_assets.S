/* page_assets.S — the page's files as bytes of the binary; the include path leads to page/. */
    .section .rodata
    .global nx_page_html, nx_page_html_end, nx_page_css, nx_page_css_end, nx_page_js, nx_page_js_end
nx_page_html:
    .incbin "page.html"
nx_page_html_end:
nx_page_css:
    .incbin "page.css"
nx_page_css_end:
nx_page_js:
    .incbin "page.js"
nx_page_js_end:
    .section .note.GNU-stack, "", %progbits
