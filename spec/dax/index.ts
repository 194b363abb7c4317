import { protocol } from "../../checker/index.ts"
import { addressSpaceOf, memoryState } from "../described.ts"
import { daxBugs } from "./bugs.ts"
import { daxScenarios } from "./scenarios.ts"
import { daxSurvivors } from "./survivors.ts"

export const dax = protocol({
  id: "dax",
  title: "DAX (fs/dax.c): blocks that are mapped themselves, and how a file system gets them back",
  about: {
    purpose:
      "Files whose blocks are memory have no copies in the page cache: page tables and devices map the blocks themselves. Before truncation or hole punching frees a block, nothing may map it any more and nobody may refer to it; who still does is waited for. A block that is another file's must never be reached by who had it before.",
    actors: {
      "cpu.mmN": "A thread of a process that maps the file shared: it stores to the page, and loads.",
      "cpu.privateN": "A thread of a process that maps the file privately: its store makes a copy in ordinary memory.",
      "cpu.readerN": "A thread of a process that loads twice through a shared mapping.",
      "cpu.theirsN": "A thread of a process that maps the other file, a hole at first: its store takes a block.",
      dioN: "Direct I/O of the first process: pins the page without locks, has a device write to it, and unpins it.",
      rdmaN: "A device that would pin the page for good (FOLL_LONGTERM), which blocks of files must not be.",
      munmapN: "A thread of the first process that unmaps the file.",
      fsN: "The file system, asked to truncate the file or punch a hole: it waits until the block is idle, then frees it.",
      otherN: "Another file that takes a block if one is free, and is written to.",
    },
    state: {
      ...memoryState,
      pmem: "The persistent memory (struct dev_pagemap), whose pages are the blocks; `blockN.owner` is the file that has one.",
      data: "The file (struct inode): the block of its page (`extent`), its locked entry in i_pages (`entry`), its size and locks.",
      other: "Another file on the same memory, with the same cells.",
      mmN: addressSpaceOf("a process that maps the file shared"),
      readerN: addressSpaceOf("a process that only loads"),
      privateN: addressSpaceOf("a process that maps the file privately"),
      theirsN: addressSpaceOf("a process that maps the other file"),
    },
    monitors: {
      record:
        "What the page and its private copy should hold, whether a load found something else, and whether blocks were freed unseen or pinned for good.",
    },
    notModelled: [
      "The first store to a shared mapping, of which a file system wants to hear: entries are writable at once.",
      "Huge entries, reflink on DAX files, memory failure, and the journal.",
      "Of extents only what is behind a page, and who owns a block.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["dax_*", "xfs_*", "grab_mapping_entry", "vmf_insert_*", "wait_page_idle*", "ib_umem_get"],
  scenarios: daxScenarios,
  bugs: daxBugs,
  survivors: daxSurvivors,
})
